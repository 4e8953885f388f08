-- A target: what of the request goes to the provider, and what its answer means. `dialect` is there where the provider
-- speaks another one than the client.
local CAUSE = {['401'] = 'auth-error', ['402'] = 'quota-exceeded', ['403'] = 'auth-error', ['429'] = 'rate-limited',
  ['503'] = 'overloaded', ['529'] = 'overloaded'}
local CODES = {insufficient_quota = 'quota-exceeded', context_length_exceeded = 'context-length',
  content_filter = 'content-filter', content_policy_violation = 'content-filter'}
local UPSTREAM = {'502', 'upstream_error', 'The provider failed.'}
local SAYS = {
  ['rate-limited'] = {'429', 'rate_limit_exceeded', 'The provider asks for fewer requests.', 'rate_limit_error'},
  ['auth-error'] = {'502', 'upstream_auth', 'The provider refused its credential.'},
  ['quota-exceeded'] = {'502', 'upstream_auth', 'The quota at the provider is spent.'},
  ['timeout'] = {'504', 'upstream_timeout', 'The provider did not answer in time.'},
  ['overloaded'] = UPSTREAM, ['server-error'] = UPSTREAM, ['connect-failure'] = UPSTREAM, ['bad-response'] = UPSTREAM,
}

local function unescape(text)
  return (text:gsub('%%(%x%x)', function(x) return char(tonumber(x, 16)) end))
end

-- Anthropic's clients know the kind of an error by its type alone.
local TYPES = {['400'] = 'invalid_request_error', ['401'] = 'authentication_error', ['403'] = 'permission_error',
  ['404'] = 'not_found_error', ['413'] = 'request_too_large', ['429'] = 'rate_limit_error'}

local function in_a_path(text)
  return (text:gsub('[^%w._~-]', function(c) return fmt('%%%02X', byte(c)) end))
end

-- What another door than the provider's own gets instead: our estimate of the tokens, or a refusal.
local function answered(h, data, size)
  if data.instead == 'estimate' then
    h:respond({[':status'] = '200', ['content-type'] = 'application/json', ['x-aigw-own'] = '1'},
      '{"input_tokens":' .. math.ceil(size / 4) .. '}')
  elseif data.instead then
    refuse(h, '400', 'invalid_request_error', 'unsupported_by_provider',
      'The provider of this model cannot be called at this endpoint.', {['x-aigw-own'] = '1'})
  end
  return data.instead
end

local function provider_headers(headers, data)
  keep_only(headers, function(name)
    return name:sub(1, 1) == ':' or name == 'content-type' or name == 'accept' or name == 'traceparent'
      or data.same and (name == 'idempotency-key' or name:sub(1, 10) == 'anthropic-' and data.anthropic
        or name:sub(1, 7) == 'openai-' and not data.anthropic)
  end)
  for name, value in pairs(data.defaults) do
    if not headers:get(name) then headers:replace(name, value) end
  end
  for name, value in pairs(data.headers) do headers:replace(name, value) end
end

local function request(h)
  local buffer = h:body()
  local text = buffer:getBytes(0, buffer:length())
  -- After the wait for the body: what was fetched before a wait is dead after it.
  local headers, data = h:headers(), data_of(h)
  if answered(h, data, #text) then return end
  local first, last = match(headers:get('x-aigw-edit') or '', '^(%d+),(%d+)$')
  local asked = unescape(headers:get('x-aigw-asked') or '')
  local model, streams = data.model == '*' and asked or data.model, false
  if data.parameters then
    text = with_parameters(text, model, data.parameters)
  else
    text = sub(text, 1, tonumber(first) - 1) .. quoted(model) .. sub(text, tonumber(last) + 1)
  end
  if not data.same then
    local other, more = dialect.request(text, data.drop, data.embeds)
    if not other then
      return refuse(h, '400', 'invalid_request_error', 'unsupported_by_provider',
        'The provider of this model cannot do: ' .. more, {['x-aigw-own'] = '1'})
    end
    text, streams = other, more
    headers:replace('content-type', 'application/json')
  end
  provider_headers(headers, data)
  if data.path then
    local before, after = data.path.before, streams and data.path.stream or data.path.after
    -- Gemini's names may be written with or without what stands before them in a path.
    if data.path.stream then model = match(model, '^models/(.*)$') or model end
    headers:replace(':path', before .. in_a_path(model) .. after)
  end
  headers:replace('content-length', tostring(buffer:setBytes(text)))
end
envoy_on_request = guarded(request)

local function put(h, text)
  local size = h:body(true):setBytes(text)
  h:headers():replace('content-length', tostring(size))
end

local function body_text(h)
  local body = h:body(true)
  return body:getBytes(0, body:length())
end

-- Every dialect keeps what failed under `error`; Gemini has a list of them at times.
local function error_of(text)
  local ok, doc = pcall(decode, text)
  if ok and is_array(doc) then doc = doc[1] end
  return ok and is_object(doc) and is_object(doc.error) and doc.error or {}
end

local function cause_of(status, text)
  local inner = error_of(text)
  local found = CODES[inner.code] or CODES[inner.type]
  if found then return found end
  if dialect and dialect.cause(inner) then return dialect.cause(inner) end
  if CAUSE[status] then return CAUSE[status] end
  local class = sub(status, 1, 1)
  return class == '5' and 'server-error' or class == '3' and 'bad-response' or nil
end

local function failed(h, cause, anthropic)
  local says = SAYS[cause]
  h:headers():replace('x-aigw-cause', cause)
  if not says then return false end
  h:headers():replace(':status', says[1])
  h:headers():replace('content-type', 'application/json')
  put(h, error_body(says[4] or 'api_error', says[2], says[3], says[1], anthropic))
  return true
end

-- What a provider says about the client's own request, in the client's dialect.
local function passed_on(inner, status, anthropic)
  local function word(value, default) return type(value) == 'string' and value ~= '' and value or default end
  local message = word(inner.message, 'The provider refused the request.')
  if anthropic then
    local kind = word(inner.type, TYPES[status] or 'invalid_request_error')
    return encode({type = 'error', error = {type = kind, message = message}})
  end
  return encode({error = {message = message, param = word(inner.param, NULL),
    type = word(inner.type, 'invalid_request_error'), code = word(inner.code, 'invalid_request')}})
end

local function response(h)
  local headers, data = h:headers(), data_of(h)
  local status, own, cause = headers:get(':status'), headers:get('x-aigw-own'), headers:get('x-aigw-cause')
  local kind = (headers:get('content-type') or ''):lower()
  keep_only(headers, function(name)
    return name == ':status' or name == 'content-type' or name == 'content-length' or name == 'cache-control'
      or name == 'retry-after'
  end)
  headers:replace('x-aigw-target', data.target)
  if own then return end
  if cause then return failed(h, cause, data.anthropic) end
  if status == '200' and kind:find('text/event-stream', 1, true) then
    if not data.same then
      headers:remove('content-length')
      dialect.stream(h)
    end
    return
  end
  local text = body_text(h)
  if sub(status, 1, 1) == '2' then
    local ok, doc, spans = pcall(decode, text)
    if not ok or not is_object(doc) then return failed(h, 'bad-response', data.anthropic) end
    if not data.same then
      local fine, other = pcall(dialect.response, text, doc, spans, data.embeds)
      if fine then return put(h, other) end
      if type(other) ~= 'table' then return failed(h, 'bad-response', data.anthropic) end
      -- A reply that is a refusal in truth.
      headers = h:headers()
      headers:replace(':status', '400')
      headers:replace('content-type', 'application/json')
      headers:replace('x-aigw-cause', 'content-filter')
      put(h, passed_on(other.refused, '400', data.anthropic))
    end
    return
  end
  cause = cause_of(status, text)
  if cause and failed(h, cause, data.anthropic) then return end
  headers = h:headers()
  headers:replace('content-type', 'application/json')
  put(h, passed_on(error_of(text), status, data.anthropic))
end
envoy_on_response = guarded_reply(response)
