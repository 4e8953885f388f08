-- Step 3, first half: the first configured header that is present decides. A token of a configured issuer goes to x-aigw-token,
-- which jwt_authn reads; a key, or a user name and password, to x-aigw-key, which api_key_auth reads.
local LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
local SIXES = {}
for i = 1, 64 do SIXES[LETTERS:byte(i)] = i - 1 end

-- Standard base64 with its padding, or (url) base64url without; nil for anything else.
local function unbase64(text, url)
  if url then
    if find(text, '[+/=]') then return nil end
    text = text:gsub('-', '+'):gsub('_', '/')
  elseif #text % 4 ~= 0 then
    return nil
  end
  local plain = text:gsub('=?=$', '')
  if find(plain, '[^%w+/]') or #plain % 4 == 1 then return nil end
  local out = {}
  for i = 1, #plain, 4 do
    local a, b, c, d = byte(plain, i, i + 3)
    local bits = SIXES[a] * 262144 + SIXES[b] * 4096 + (c and SIXES[c] or 0) * 64 + (d and SIXES[d] or 0)
    local first, second, third = math.floor(bits / 65536), math.floor(bits / 256) % 256, bits % 256
    out[#out + 1] = d and char(first, second, third) or c and char(first, second) or char(first)
  end
  return concat(out)
end

-- The issuer that a token names. Nothing is believed of it yet: it only says who has to check the token.
local function issuer(value)
  local payload = match(value, '^[%w_-]+%.([%w_-]+)%.[%w_-]*$')
  local text = payload and unbase64(payload, true)
  local ok, doc = pcall(decode, text or '')
  return ok and is_object(doc) and type(doc.iss) == 'string' and doc.iss or nil
end

local function kind_of(data, name, value)
  if name == 'authorization' then
    local word, rest = match(value, '^(%a+) +(.+)$')
    word = word and word:lower()
    if word == 'basic' and data.basic then
      local login = unbase64(rest, false)
      if not login or find(login, '[%z\1-\31\127]') then return nil end
      -- A space at the front is in no header that a client sends, so that no key is taken for a password.
      return 'x-aigw-key', ' ' .. login
    end
    value = word == 'bearer' and rest or nil
  end
  if not value or value == '' then return nil end
  local from = data.issuers and issuer(value)
  if from and data.issuers[from] then return 'x-aigw-token', value end
  -- api_key_auth takes a `Bearer ` off by itself, so that a second one would pass.
  if not data.keys[name] or find(value, '^[Bb][Ee][Aa][Rr][Ee][Rr]%s') then return nil end
  return 'x-aigw-key', value
end

local function run(h)
  local data, headers = data_of(h), h:headers()
  local to, value, decided
  for _, name in ipairs(data.headers) do
    local given = headers:get(name)
    if given and not decided then
      decided = true
      if headers:getNumValues(name) == 1 then to, value = kind_of(data, name, given) end
    end
    headers:remove(name)
  end
  if not to then
    return refuse(h, '401', 'authentication_error', 'invalid_api_key', 'Missing or incorrect API key.',
      {['www-authenticate'] = data.challenge})
  end
  headers:replace(to, value)
end
envoy_on_request = guarded(run)
