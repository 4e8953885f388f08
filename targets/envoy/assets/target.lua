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

local function request(h)
  local buffer = h:body()
  local text = buffer:getBytes(0, buffer:length())
  -- After the wait for the body: what was fetched before a wait is dead after it.
  local headers, data = h:headers(), data_of(h)
  local first, last = match(headers:get('x-aigw-edit') or '', '^(%d+),(%d+)$')
  local asked = unescape(headers:get('x-aigw-asked') or '')
  local model = data.model == '*' and asked or data.model
  text = sub(text, 1, tonumber(first) - 1) .. quoted(model) .. sub(text, tonumber(last) + 1)
  keep_only(headers, function(name)
    return name:sub(1, 1) == ':' or name == 'content-type' or name == 'accept' or name == 'traceparent'
      or not dialect and (name == 'idempotency-key' or name:sub(1, 7) == 'openai-')
  end)
  for name, value in pairs(data.headers) do headers:replace(name, value) end
  if dialect then
    local other, field = dialect.request(text)
    if not other then
      return refuse(h, '400', 'invalid_request_error', 'unsupported_by_provider',
        'The provider of this model cannot do: ' .. field, 'x-aigw-own', '1')
    end
    text = other
    headers:replace('content-type', 'application/json')
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

local function cause_of(status, text)
  local ok, doc = pcall(decode, text)
  local inner = ok and is_object(doc) and is_object(doc.error) and doc.error or {}
  local found = CODES[inner.code] or CODES[inner.type]
  if found then return found end
  if dialect and dialect.cause(inner) then return dialect.cause(inner) end
  if CAUSE[status] then return CAUSE[status] end
  local class = sub(status, 1, 1)
  return class == '5' and 'server-error' or class == '3' and 'bad-response' or nil
end

local function failed(h, cause)
  local says = SAYS[cause]
  h:headers():replace('x-aigw-cause', cause)
  if not says then return false end
  h:headers():replace(':status', says[1])
  h:headers():replace('content-type', 'application/json')
  put(h, error_body(says[4] or 'api_error', says[2], says[3]))
  return true
end

-- What a provider says about the client's own request, in the client's dialect (both keep it under `error`).
local function passed_on(text)
  local ok, doc = pcall(decode, text)
  local inner = ok and is_object(doc) and is_object(doc.error) and doc.error or {}
  local function word(value, default) return type(value) == 'string' and value ~= '' and value or default end
  return encode({error = {message = word(inner.message, 'The provider refused the request.'), param = word(inner.param, NULL),
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
  if cause then return failed(h, cause) end
  if status == '200' and kind:find('text/event-stream', 1, true) then
    if dialect then
      headers:remove('content-length')
      dialect.stream(h)
    end
    return
  end
  local text = body_text(h)
  if sub(status, 1, 1) == '2' then
    local ok, doc, spans = pcall(decode, text)
    if not ok or not is_object(doc) then return failed(h, 'bad-response') end
    if dialect then
      local fine, other = pcall(dialect.response, text, doc, spans)
      if not fine then return failed(h, 'bad-response') end
      put(h, other)
    end
    return
  end
  cause = cause_of(status, text)
  if cause and failed(h, cause) then return end
  headers = h:headers()
  headers:replace('content-type', 'application/json')
  put(h, passed_on(text))
end
envoy_on_response = guarded_reply(response)
