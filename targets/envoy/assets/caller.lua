-- Step 3, second half: who calls, and the groups of it, from the key's consumer or from a token that jwt_authn has checked.
local function add(list, seen, name)
  if not seen[name] then list[#list + 1], seen[name] = name, true end
end

local function mapped(claims, issuer, known, list, seen)
  local value = issuer.groups and claims[issuer.groups]
  local found = {}
  if type(value) == 'string' then
    for word in value:gmatch('%S+') do found[#found + 1] = word end
  elseif type(value) == 'table' then
    for _, word in ipairs(value) do found[#found + 1] = word end
  end
  for _, word in ipairs(found) do
    local group = type(word) == 'string' and (issuer.map and issuer.map[word] or not issuer.map and word)
    if group and known[group] then add(list, seen, group) end
  end
end

local function refused(h)
  refuse(h, '401', 'authentication_error', 'invalid_api_key', 'The token names nobody who is known here.',
    {['www-authenticate'] = data_of(h).challenge})
end

local function run(h)
  local data, headers, metadata = data_of(h), h:headers(), h:streamInfo():dynamicMetadata()
  local consumer, groups, seen = headers:get('x-aigw-consumer'), {}, {}
  local claims, issuer
  if headers:get('x-aigw-token') then
    for name, payload in pairs(metadata:get('envoy.filters.http.jwt_authn') or {}) do
      if data.issuers[name] then claims, issuer = payload, data.issuers[name] end
    end
    consumer = claims and claims[issuer.consumer]
    if type(consumer) ~= 'string' or consumer == '' then return refused(h) end
    if not data.consumers[consumer] and not issuer.accept then return refused(h) end
    headers:remove('x-aigw-token')
  end
  if not consumer then return refused(h) end
  for _, name in ipairs(data.consumers[consumer] or {}) do add(groups, seen, name) end
  if claims then mapped(claims, issuer, data.groups, groups, seen) end
  metadata:set('aigw', 'consumer', consumer)
  metadata:set('aigw.caller', 'groups', groups)
end
envoy_on_request = guarded(run)
