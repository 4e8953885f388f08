-- The reply on its way to the client: `model` is what the client asked for, usage is read (and taken out where nobody asked
-- for it), limits are settled, the static answer is given when every target failed. Headers of the tiers end here.

local function fault_event(asked, code)
  local status, message = code == 'upstream_timeout' and '504' or '502', 'The provider stopped in the middle of its answer.'
  local anthropic = is_anthropic(asked.door)
  return (anthropic and 'event: error\n' or '') .. 'data: ' .. error_body('api_error', code, message, status, anthropic) .. '\n\n'
end

local function good_chunk(doc)
  for _, choice in ipairs(is_array(doc.choices) and doc.choices or {}) do
    if not is_object(choice) or choice.delta ~= nil and choice.delta ~= NULL and not is_object(choice.delta) then return false end
  end
  return doc.choices == nil or is_array(doc.choices)
end

-- One `data:` line of a stream: what goes on to the client (nil: nothing), the figures so far, and the end: `done` or a code.
local function event(json, asked, usage, price)
  local ok, doc, _, members = pcall(decode, json)
  if not ok or not is_object(doc) then return nil, usage, 'upstream_error' end
  hear(asked, doc)
  local fault = is_object(doc.error) and doc.error
  if fault then return nil, usage, fault.type == 'timeout_error' and 'upstream_timeout' or 'upstream_error' end
  if is_anthropic(asked.door) then
    if type(doc.type) ~= 'string' then return nil, usage, 'upstream_error' end
    local started = is_object(doc.message) and doc.message
    if not asked.apart then usage = figures(usage, started and started.usage or doc.usage, price) end
    return started and renamed(json, members, started, asked.model) or json, usage, doc.type == 'message_stop' and 'done'
  end
  if not good_chunk(doc) then return nil, usage, 'upstream_error' end
  usage = figures(usage, doc.usage, price)
  if doc.usage ~= nil and not asked.usage then
    if is_array(doc.choices) and #doc.choices == 0 then return nil, usage end
    json = without(json, members[doc].usage)
    ok, doc, _, members = pcall(decode, json)
    if not ok then error('cutting usage out broke an event') end
  end
  return renamed(json, members, doc, asked.model), usage
end

-- Whole lines of a stream. The name of an event waits for its data, which may end the stream instead.
local function lines(state, asked, price, out)
  local from, rest = 1, state.rest
  while not state.stop do
    local stop = find(rest, '\n', from, true)
    if not stop then break end
    local line = sub(rest, from, stop)
    from = stop + 1
    local lead, json = match(line, '^(data: ?)(.-)%s*$')
    if json == '[DONE]' then
      state.stop = 'done'
      out[#out + 1] = 'data: [DONE]\n\n'
    elseif json then
      local text, stops
      text, state.usage, stops = event(json, asked, state.usage, price)
      state.dropped = text == nil
      if text then out[#out + 1] = state.name .. lead .. text .. '\n' .. (stops and '\n' or '') end
      if stops and stops ~= 'done' then out[#out + 1] = fault_event(asked, stops) end
      state.name, state.stop = '', stops
    elseif find(line, '^event:') then
      state.name = line
    elseif asked.apart and sub(line, 1, #USED) == USED then
      state.usage = used_of(match(sub(line, #USED + 1), '^(.-)%s*$'), price)
    elseif not (state.dropped and match(line, '^\r?\n$')) then
      out[#out + 1] = line
    else
      state.dropped = false
    end
  end
  state.rest = sub(rest, from)
end

local function pass_stream(h, asked, held, price)
  local state, last, text = {rest = '', name = ''}, nil, ''
  h:headers():remove('content-length')
  for chunk in h:bodyChunks() do
    local out = {}
    state.rest = state.rest .. chunk:getBytes(0, chunk:length())
    lines(state, asked, price, out)
    last, text = chunk, concat(out)
    chunk:setBytes(text)
    so_far(h, held, asked, price)
  end
  -- The last chunk is still ours, since nothing was waited for since: what the last line lacks, and an end where there was none.
  if not state.stop and last then
    local out = {}
    state.rest = state.rest .. '\n'
    lines(state, asked, price, out)
    if not state.stop then out[#out + 1] = fault_event(asked, 'upstream_error') end
    last:setBytes(text .. concat(out))
  end
  if not state.usage then return end
  note_usage(h, state.usage)
  settle(h, held, state.usage)
end

local function give_static(h, asked, static)
  local headers = h:headers()
  headers:replace(':status', tostring(static.status))
  headers:replace('content-type', asked.stream and 'text/event-stream' or 'application/json')
  headers:remove('retry-after')
  headers:replace('x-aigw-fallback', 'static')
  put(h, static_text(asked, static.content))
end

-- What the tiers told about the try that answered; their headers end here.
local function taken(headers)
  local told = {}
  for _, name in ipairs({'target', 'cause', 'tier', 'tries', 'used'}) do
    told[name] = headers:get('x-aigw-' .. name)
    headers:remove('x-aigw-' .. name)
  end
  return told
end

local function show(headers, metadata, data, asked, told)
  local attempts = (tonumber(told.tier or '1') - 1) * data.each + tonumber(told.tries or '1')
  -- Without the name of a target it was never asked: the gateway itself knew the answer.
  if told.target == '' then attempts = attempts - 1 end
  if attempts > 0 then headers:replace('x-aigw-attempts', tostring(attempts)) end
  metadata:set('aigw', 'target', told.target or '')
  metadata:set('aigw', 'attempts', attempts)
  metadata:set('aigw', 'operation', asked.door == 'embeddings' and 'embeddings' or 'chat')
  local whose = data.whose[told.target]
  if whose then
    metadata:set('aigw', 'provider', whose.provider)
    metadata:set('aigw', 'provider_type', whose.type)
  end
  local exposed = data.exposed and data.exposed[told.target]
  if exposed then
    headers:replace('x-aigw-target', exposed.provider .. '/' .. header_safe(exposed.model == '*' and asked.model or exposed.model))
  end
end

local function run_response(h)
  local headers, metadata = h:headers(), h:streamInfo():dynamicMetadata()
  local state = metadata:get('aigw.state')
  local told = taken(headers)
  if not state or not state.asked then return end
  local asked = state.asked
  local data = data_of(h)[asked.name]
  for name, value in pairs(asked.told or {}) do headers:replace(name, value) end
  if not told.target and not told.cause then return settle(h, state.held, NONE) end
  if told.target or told.tier then show(headers, metadata, data, asked, told) end
  if told.cause then metadata:set('aigw', 'cause', told.cause) end
  if told.cause and data.static and data.on[told.cause] and asked.door ~= 'count' and asked.door ~= 'embeddings' then
    metadata:set('aigw', 'target', 'static')
    settle(h, state.held, NONE)
    return give_static(h, asked, data.static)
  end
  if headers:get(':status') ~= '200' then
    settle(h, state.held, NONE)
    -- Only Envoy itself says 503 between the tiers: what it says is told here in the client's dialect.
    if told.cause and headers:get(':status') == '503' then tell(h, told.cause, is_anthropic(asked.door)) end
    return
  end
  local price = told.target and data.prices and data.prices[told.target]
  if (headers:get('content-type') or ''):find('text/event-stream', 1, true) then
    asked.apart = told.used == '-'
    return pass_stream(h, asked, state.held, price)
  end
  local usage = used_of(told.used, price)
  if usage then note_usage(h, usage) end
  settle(h, state.held, usage)
end
envoy_on_response = guarded_reply(run_response)
