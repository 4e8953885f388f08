-- What a rate limit service said, on its way to the client: each `ratelimit` filter adds a set of x-ratelimit-* headers, in
-- which the service names what it counts and the stage at which it was asked. Of each kind the tightest is shown. What a
-- request took that was refused after all is given back when the stream is done.
local KIND = {address = 'requests', requests = 'requests', tokens = 'tokens'}

local function all(headers, name)
  local found = {}
  for i = 1, headers:getNumValues(name) do found[i] = headers:getAtIndex(name, i - 1) end
  headers:remove(name)
  return found
end

-- The set of a filter that refuses is the first one.
local function sets_of(headers)
  local most, left, reset = all(headers, 'x-ratelimit-limit'), all(headers, 'x-ratelimit-remaining'), all(headers, 'x-ratelimit-reset')
  local sets = {}
  for i, text in ipairs(most) do
    local what, stage = string.match(text, 'name="(%a+) (%d+)"')
    sets[i] = {what = what, stage = tonumber(stage), most = string.match(text, '^%d+'), left = left[i], reset = reset[i]}
  end
  return sets
end

local function show(headers, sets)
  local tightest = {}
  for _, set in ipairs(sets) do
    local kind = KIND[set.what]
    local best = kind and tightest[kind]
    if kind and (not best or tonumber(set.left) < tonumber(best.left)) then tightest[kind] = set end
  end
  for kind, set in pairs(tightest) do
    headers:replace('x-ratelimit-limit-' .. kind, set.most)
    headers:replace('x-ratelimit-remaining-' .. kind, set.left)
    headers:replace('x-ratelimit-reset-' .. kind, set.reset)
  end
end

-- Stages 1 and 2 count addresses, 3 and 4 requests, the others tokens and cost: each kind is taken whole or not at all.
local function give_back(h, metadata, refused, reserved)
  local back = {}
  if refused < 3 then
    for stage = 1, refused do back['address-' .. stage] = address(h) end
  elseif refused < 5 then
    local state = metadata:get('aigw.state') or {}
    for header, key in pairs(state.asked and state.asked.named or {}) do
      if tonumber(string.match(header, '^x%-aigw%-limit%-(%d+)')) <= refused then back[header] = key end
    end
  end
  for _, w in ipairs(refused > 4 and reserved or {}) do
    if w.stage <= refused and w.reserve > 0 then back[w.slot .. '.down'], back[w.slot .. '.n'] = w.key, w.reserve end
  end
  metadata:set('aigw.rls', 'settle', back)
end

local function run_response(h)
  local headers = h:headers()
  local sets = sets_of(headers)
  if #sets == 0 then return end
  show(headers, sets)
  if headers:get(':status') ~= '429' then return end
  local metadata = h:streamInfo():dynamicMetadata()
  local mine = metadata:get('aigw.rls') or {}
  if mine.decided or not sets[1].stage then return end
  headers:replace('retry-after', sets[1].reset)
  give_back(h, metadata, sets[1].stage, mine.reserved)
end
envoy_on_response = guarded_reply(run_response)
