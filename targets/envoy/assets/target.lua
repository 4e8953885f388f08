-- A target: what of the request goes to the provider, and what its answer means. Where the provider speaks another dialect
-- than the client, `dialect` is between it and OpenAI's, and `messages` between Anthropic's and that.
local function between(way) return way.hub and messages or dialect end

local function unescape(text)
  return (text:gsub('%%(%x%x)', function(x) return char(tonumber(x, 16)) end))
end

local function in_a_path(text)
  return (text:gsub('[^%w._~-]', function(c) return fmt('%%%02X', byte(c)) end))
end

-- What another door than the provider's own gets instead: our estimate of the tokens, or a refusal. `size` is that of the client's
-- own body, without what decorators added.
local function answered(h, way, size)
  if way.instead == 'estimate' then
    h:respond({[':status'] = '200', ['content-type'] = 'application/json', ['x-aigw-own'] = '1'},
      '{"input_tokens":' .. math.ceil(size / 4) .. '}')
  elseif way.instead then
    refuse(h, '400', 'invalid_request_error', 'unsupported_by_provider',
      'The provider of this model cannot be called at this endpoint.', {['x-aigw-own'] = '1'})
  end
  return way.instead
end

-- What is set for this door, and what is known of the provider at all. Routes are named by their doors.
local function way_of(h)
  local data = data_of(h)
  return data.doors[h:streamInfo():routeName()], data
end

-- What the filter before this one left (tiers.py), but for the words of the tiers; and the provider's own headers.
local function provider_headers(headers, data)
  headers:remove('x-aigw-door')
  headers:remove('x-aigw-call')
  for name, value in pairs(data.defaults) do
    if not headers:get(name) then headers:replace(name, value) end
  end
  for name, value in pairs(data.headers) do headers:replace(name, value) end
  for name in pairs(data.secrets) do
    local value, last = match(headers:get(name) or '', '(%S+)$'), sent[name] or {}
    if value and value ~= last[1] then sent[name] = {value, last[1]} end
  end
end

-- What another provider wants back with the call of a tool, and that a client kept, is no field of one that is strict. It is
-- looked for in every body, hence by a byte that is rare.
local KEPT, LOOK = 'extra_content', '_content"'
local function without_kept(text)
  local doc, _, members = decode(text, {})
  local cuts = {}
  for _, message in ipairs(is_array(doc.messages) and doc.messages or {}) do
    for _, parts in ipairs(is_object(message) and {message.tool_calls or NULL, message.content or NULL} or {}) do
      for _, part in ipairs(is_array(parts) and parts or {}) do
        cuts[#cuts + 1] = is_object(part) and members[part][KEPT] or nil
      end
    end
  end
  table.sort(cuts, function(a, b) return a[1] > b[1] end)
  for _, span in ipairs(cuts) do text = without(text, span) end
  return text
end

local function request(h)
  local buffer = h:body()
  local text = buffer:getBytes(0, buffer:length())
  -- After the wait for the body: what was fetched before a wait is dead after it.
  local headers, way, data = h:headers(), way_of(h)
  local first, last, stream, size, name = match(headers:get('x-aigw-call'), '^(%d+),(%d+) (.) (%d+) (.*)$')
  if answered(h, way, tonumber(size)) then return end
  local asked = unescape(name)
  local model, streams = data.model == '*' and asked or data.model, stream == 's'
  if way.parameters then
    text = with_parameters(text, model, way.parameters)
  else
    text = sub(text, 1, tonumber(first) - 1) .. quoted(model) .. sub(text, tonumber(last) + 1)
  end
  if way.strict and find(text, LOOK, 1, true) then text = without_kept(text) end
  if not way.same then
    local other, code, field = between(way).request(text, data.drop, way)
    if not other then
      local why = code == 'invalid_request' and 'This has no meaning: ' or 'The provider of this model cannot do: '
      return refuse(h, '400', 'invalid_request_error', code, why .. field, {['x-aigw-own'] = '1'})
    end
    text = other
  end
  provider_headers(headers, data)
  headers:replace('content-type', 'application/json')
  h:streamInfo():dynamicMetadata():set('aigw.target', 'asked', (streams and 's' or '-') .. asked)
  if way.path then
    local before, after = way.path.before, streams and way.path.stream or way.path.after
    -- Gemini's names may be written with or without what stands before them in a path.
    if way.path.stream then model = match(model, '^models/(.*)$') or model end
    headers:replace(':path', before .. in_a_path(model) .. after)
  end
  headers:replace('content-length', tostring(buffer:setBytes(text)))
end
envoy_on_request = guarded(request)

local function body_text(h)
  local body = h:body(true)
  return body:getBytes(0, body:length())
end

-- A reply whose `model` is what the client asked for; and what it used, where there is a figure, for the tier of policies.
local function told(h, text, doc, members, asked, used)
  local usage = figures(nil, used)
  if usage then h:headers():replace('x-aigw-used', used_text(usage)) end
  put(h, renamed(text, members, doc, asked))
end

local KEPT_OF_REPLY = {[':status'] = true, ['content-type'] = true, ['content-length'] = true, ['cache-control'] = true,
  ['retry-after'] = true}
local function kept_of_reply(name) return KEPT_OF_REPLY[name] end

local function response(h)
  local headers, way, data = h:headers(), way_of(h)
  local status, own, cause = headers:get(':status'), headers:get('x-aigw-own'), headers:get('x-aigw-cause')
  local kind = headers:get('content-type') or ''
  keep_only(headers, kept_of_reply)
  headers:replace('x-aigw-target', own and '' or data.target)
  if own then return end
  if cause then return failed(h, cause, way.anthropic) end
  local streams, asked = match((h:streamInfo():dynamicMetadata():get('aigw.target') or {}).asked or '-', '^(.)(.*)$')
  if status == '200' and streams == 's' and kind:lower():find('^text/event%-stream') then
    if not way.same then
      headers:remove('content-length')
      if way.hub then headers:replace('x-aigw-used', '-') end -- figures come apart from the events
      between(way).stream(h)
    end
    return
  end
  local text = body_text(h)
  if status == '200' then
    local ok, doc, spans, members = pcall(decode, text)
    if not ok or not is_object(doc) or streams == 's' then return failed(h, 'bad-response', way.anthropic) end
    if way.same then
      if not is_answer(way.door, doc) then return failed(h, 'bad-response', way.anthropic) end
      return told(h, text, doc, members, asked, doc.usage)
    end
    local fine, other, used = pcall(between(way).response, text, doc, spans, way.embeds)
    if fine then
      local doc, _, members = decode(other)
      return told(h, other, doc, members, asked, way.hub and used or doc.usage)
    end
    local refused = type(other) == 'table' and other.refused
    if not refused then return failed(h, 'bad-response', way.anthropic) end
    -- A reply that is a refusal in truth.
    headers = h:headers()
    headers:replace(':status', '400')
    headers:replace('content-type', 'application/json')
    headers:replace('x-aigw-cause', 'content-filter')
    return put(h, passed_on(refused, '400', way.anthropic))
  end
  local fault = error_of(text)
  cause = cause_of(status, fault)
  if cause and failed(h, cause, way.anthropic) then return end
  headers = h:headers()
  headers:replace('content-type', 'application/json')
  put(h, passed_on(fault, status, way.anthropic))
end
envoy_on_response = guarded_reply(response)
