-- A target: what of the request goes to the provider, and what its answer means. Where the provider speaks another dialect
-- than the client, `dialect` is between it and OpenAI's, and `messages` between Anthropic's and that.
local function between(data) return data.hub and messages or dialect end

local CAUSE = {['401'] = 'auth-error', ['402'] = 'quota-exceeded', ['403'] = 'auth-error', ['429'] = 'rate-limited',
  ['503'] = 'overloaded', ['529'] = 'overloaded'}
-- Codes and types of errors that say more than a status.
local CODES = {insufficient_quota = 'quota-exceeded', billing_error = 'quota-exceeded',
  context_length_exceeded = 'context-length', content_filter = 'content-filter', content_policy_violation = 'content-filter',
  authentication_error = 'auth-error', permission_error = 'auth-error'}

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
local function answered(h, data)
  if data.instead == 'estimate' then
    -- Of the client's own body, without what decorators added.
    local size = tonumber(h:headers():get('x-aigw-size'))
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
      or data.secrets[name] or data.passes and (name == 'idempotency-key' or name:sub(1, 10) == 'anthropic-' and data.anthropic
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
  if answered(h, data) then return end
  local first, last, stream = match(headers:get('x-aigw-edit') or '', '^(%d+),(%d+)(,?s?)$')
  local asked = unescape(headers:get('x-aigw-asked') or '')
  local model, streams = data.model == '*' and asked or data.model, stream == ',s'
  if data.parameters then
    text = with_parameters(text, model, data.parameters)
  else
    text = sub(text, 1, tonumber(first) - 1) .. quoted(model) .. sub(text, tonumber(last) + 1)
  end
  if not data.same then
    local other, code, field = between(data).request(text, data.drop, data)
    if not other then
      local why = code == 'invalid_request' and 'This has no meaning: ' or 'The provider of this model cannot do: '
      return refuse(h, '400', 'invalid_request_error', code, why .. field, {['x-aigw-own'] = '1'})
    end
    text = other
  end
  headers:replace('content-type', 'application/json')
  provider_headers(headers, data)
  local sent = {}
  for name in pairs(data.secrets) do sent[#sent + 1] = match(headers:get(name) or '', '(%S+)$') end
  h:streamInfo():dynamicMetadata():set('aigw.target', 'asked', {stream = streams, sent = sent})
  if data.path then
    local before, after = data.path.before, streams and data.path.stream or data.path.after
    -- Gemini's names may be written with or without what stands before them in a path.
    if data.path.stream then model = match(model, '^models/(.*)$') or model end
    headers:replace(':path', before .. in_a_path(model) .. after)
  end
  headers:replace('content-length', tostring(buffer:setBytes(text)))
end
envoy_on_request = guarded(request)

local function body_text(h)
  local body = h:body(true)
  return body:getBytes(0, body:length())
end

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
local function passed_on(fault, status, anthropic, sent)
  local message = fault.message or 'The provider refused the request.'
  for _, secret in ipairs(sent) do
    local parts, from = {}, 1
    local first, last = find(message, secret, from, true)
    while first do
      parts[#parts + 1] = sub(message, from, first - 1)
      from = last + 1
      first, last = find(message, secret, from, true)
    end
    message = concat(parts, '***') .. (from > 1 and '***' or '') .. sub(message, from)
  end
  local code = fault.code or 'invalid_request'
  if anthropic then
    local kind = NAMED[status] or fault.type or TYPES[status] or 'invalid_request_error'
    return encode({type = 'error', error = {type = kind, message = message, code = code}})
  end
  return encode({error = {message = message, param = fault.param or NULL, type = fault.type or 'invalid_request_error',
    code = code}})
end

local function response(h)
  local headers, data = h:headers(), data_of(h)
  local status, own, cause = headers:get(':status'), headers:get('x-aigw-own'), headers:get('x-aigw-cause')
  local kind = (headers:get('content-type') or ''):lower()
  keep_only(headers, function(name)
    return name == ':status' or name == 'content-type' or name == 'content-length' or name == 'cache-control'
      or name == 'retry-after'
  end)
  headers:replace('x-aigw-target', own and '' or data.target)
  if own then return end
  if cause then return failed(h, cause, data.anthropic) end
  local asked = (h:streamInfo():dynamicMetadata():get('aigw.target') or {}).asked or {sent = {}}
  if status == '200' and asked.stream and kind:find('^text/event%-stream') then
    if not data.same then
      headers:remove('content-length')
      between(data).stream(h)
    end
    return
  end
  local text = body_text(h)
  if status == '200' then
    local ok, doc, spans = pcall(decode, text)
    if not ok or not is_object(doc) or asked.stream then return failed(h, 'bad-response', data.anthropic) end
    if not data.same then
      local fine, other = pcall(between(data).response, text, doc, spans, data.embeds)
      if fine then return put(h, other) end
      if type(other) ~= 'table' then return failed(h, 'bad-response', data.anthropic) end
      -- A reply that is a refusal in truth.
      headers = h:headers()
      headers:replace(':status', '400')
      headers:replace('content-type', 'application/json')
      headers:replace('x-aigw-cause', 'content-filter')
      put(h, passed_on(other.refused, '400', data.anthropic, asked.sent))
    elseif not is_answer(data.door, doc) then
      return failed(h, 'bad-response', data.anthropic)
    end
    return
  end
  local fault = error_of(text)
  cause = cause_of(status, fault)
  if cause and failed(h, cause, data.anthropic) then return end
  headers = h:headers()
  headers:replace('content-type', 'application/json')
  put(h, passed_on(fault, status, data.anthropic, asked.sent))
end
envoy_on_response = guarded_reply(response)
