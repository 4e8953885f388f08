-- What the failure of a provider means: its cause, by which the tiers above try again, and what a client is told of it.
local CAUSE = {['401'] = 'auth-error', ['402'] = 'quota-exceeded', ['403'] = 'auth-error', ['429'] = 'rate-limited',
  ['503'] = 'overloaded', ['529'] = 'overloaded'}
-- Codes and types of errors that say more than a status.
local CODES = {insufficient_quota = 'quota-exceeded', billing_error = 'quota-exceeded',
  context_length_exceeded = 'context-length', content_filter = 'content-filter', content_policy_violation = 'content-filter',
  authentication_error = 'auth-error', permission_error = 'auth-error'}

-- Anthropic's clients know the kind of an error by its type alone.
local TYPES = {['400'] = 'invalid_request_error', ['401'] = 'authentication_error', ['403'] = 'permission_error',
  ['404'] = 'not_found_error', ['413'] = 'request_too_large', ['429'] = 'rate_limit_error'}

-- What was sent of secrets, which no answer may repeat: of each the last two, since a secret can change.
local sent = {}

-- {message, type, param, code} of a provider's error; what is no text is nil. Gemini has a list of them at times.
local function error_of(text)
  local ok, doc = pcall(decode, text)
  if ok and is_array(doc) then doc = doc[1] end
  local inner, found = ok and is_object(doc) and is_object(doc.error) and doc.error or {}, {}
  for _, field in ipairs({'message', 'type', 'param', 'code'}) do
    if type(inner[field]) == 'string' and inner[field] ~= '' then found[field] = inner[field] end
  end
  if dialect and dialect.error then dialect.error(found, inner) end
  return found
end

local function cause_of(status, fault)
  local class = sub(status, 1, 1)
  return CODES[fault.code or ''] or CODES[fault.type or ''] or CAUSE[status]
    or class == '5' and 'server-error' or (class == '2' or class == '3') and 'bad-response' or nil
end

local function failed(h, cause, anthropic)
  h:headers():replace('x-aigw-cause', cause)
  return tell(h, cause, anthropic)
end

-- What a provider says about the client's own request, in the client's dialect, without what it was sent of secrets.
local function passed_on(fault, status, anthropic)
  local message = fault.message or 'The provider refused the request.'
  for _, values in pairs(sent) do
    for _, secret in ipairs(values) do
      local parts, from = {}, 1
      local first, last = find(message, secret, from, true)
      while first do
        parts[#parts + 1] = sub(message, from, first - 1)
        from = last + 1
        first, last = find(message, secret, from, true)
      end
      message = concat(parts, '***') .. (from > 1 and '***' or '') .. sub(message, from)
    end
  end
  local code = fault.code or 'invalid_request'
  if anthropic then
    local kind = NAMED[status] or fault.type or TYPES[status] or 'invalid_request_error'
    return encode({type = 'error', error = {type = kind, message = message, code = code}})
  end
  return encode({error = {message = message, param = fault.param or NULL, type = fault.type or 'invalid_request_error',
    code = code}})
end
