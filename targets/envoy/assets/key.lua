-- Step 3, first half: the first configured header that is present decides. Its key goes to x-aigw-key, which api_key_auth reads.
local function bearer(value)
  return value:match('^[Bb][Ee][Aa][Rr][Ee][Rr] +(.+)$')
end

local function run(h)
  local headers, key, decided = h:headers(), nil, false
  for _, name in ipairs(data_of(h).headers) do
    local value = headers:get(name)
    if value and not decided then
      decided = true
      key = headers:getNumValues(name) == 1 and name == 'authorization' and bearer(value)
        or headers:getNumValues(name) == 1 and name ~= 'authorization' and value
    end
    headers:remove(name)
  end
  -- api_key_auth takes a `Bearer ` off by itself, so that a second one would pass.
  if not key or key == '' or key:find('^[Bb][Ee][Aa][Rr][Ee][Rr]%s') then
    refuse(h, '401', 'authentication_error', 'invalid_api_key', 'Missing or incorrect API key.')
    return
  end
  headers:replace('x-aigw-key', key)
end
envoy_on_request = guarded(run)
