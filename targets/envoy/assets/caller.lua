-- Step 3, second half: who calls, and the groups of it, from the key's consumer or from a token that jwt_authn has checked.
local function add_once(list, seen, name)
  if not seen[name] then list[#list + 1], seen[name] = name, true end
end

local function mapped(claims, issuer, known_groups, list, seen)
  local value = issuer.groups and claims[issuer.groups]
  local found = {}
  if type(value) == 'string' then
    for word in value:gmatch('%S+') do found[#found + 1] = word end
  elseif type(value) == 'table' then
    for _, word in ipairs(value) do found[#found + 1] = word end
  end
  for _, word in ipairs(found) do
    local group = type(word) == 'string' and (issuer.map and issuer.map[word] or not issuer.map and word)
    if group and known_groups[group] then add_once(list, seen, group) end
  end
end

local function refused(h, who)
  refuse(h, '401', 'authentication_error', 'invalid_api_key', 'The token names nobody who is known here.',
    {['www-authenticate'] = who.challenge})
end

-- What is known of the caller {consumer, groups, member}, or nil once it is refused. `who` is what the gateway knows of callers.
local function caller_by(h, headers, who)
  local consumer, groups, seen = headers:get('x-aigw-consumer'), {}, {}
  local claims, issuer
  if who.tokens and headers:get('x-aigw-token') then
    for name, payload in pairs(h:streamInfo():dynamicMetadata():get('envoy.filters.http.jwt_authn') or {}) do
      if who.issuers[name] then claims, issuer = payload, who.issuers[name] end
    end
    consumer = claims and claims[issuer.consumer]
    if type(consumer) ~= 'string' or consumer == '' then return refused(h, who) end
    if not who.consumers[consumer] and not issuer.accept then return refused(h, who) end
    headers:remove('x-aigw-token')
  end
  if not consumer then return refused(h, who) end
  for _, name in ipairs(who.consumers[consumer] or {}) do add_once(groups, seen, name) end
  if claims then mapped(claims, issuer, who.groups, groups, seen) end
  return {consumer = consumer, groups = groups, member = seen}
end
