-- The reply on its way to the client: `model` is what the client asked for, usage is read (and taken out where nobody asked
-- for it), tokens are settled, the static answer is given when every target failed. Headers of the tiers end here.
local function count(value) return type(value) == 'number' and value >= 0 and value or 0 end

local function note_usage(h, usage)
  if not is_object(usage) then return nil end
  local metadata = h:streamInfo():dynamicMetadata()
  local total = usage.total_tokens or count(usage.prompt_tokens) + count(usage.completion_tokens)
  metadata:set('aigw', 'input_tokens', count(usage.prompt_tokens))
  metadata:set('aigw', 'output_tokens', count(usage.completion_tokens))
  metadata:set('aigw', 'total_tokens', count(total))
  return count(total)
end

-- Cut a member out of an object's text, with one of the commas around it.
local function without(text, span)
  local first, last = span[1], span[3]
  local comma = match(sub(text, 1, first - 1), '()%,[ \t\r\n]*$')
  if comma then return sub(text, 1, comma - 1) .. sub(text, last + 1) end
  local _, after = find(text, '^[ \t\r\n]*,', last + 1)
  return sub(text, 1, first - 1) .. sub(text, (after or last) + 1)
end

local function renamed(text, members, doc, name)
  local span = members[doc].model
  if not span then return text end
  return sub(text, 1, span[2] - 1) .. quoted(name) .. sub(text, span[3] + 1)
end

-- One `data:` line of a stream: what goes on to the client (nil: nothing), and the tokens that it names.
local function event(h, json, asked)
  local ok, doc, _, members = pcall(decode, json)
  if not ok or not is_object(doc) then return json, nil end
  local tokens = note_usage(h, doc.usage)
  if doc.usage ~= nil and not asked.usage then
    if is_array(doc.choices) and #doc.choices == 0 then return nil, tokens end
    json = without(json, members[doc].usage)
    ok, doc, _, members = pcall(decode, json)
    if not ok then error('cutting usage out broke an event') end
  end
  return renamed(json, members, doc, asked.model), tokens
end

local function pass_stream(h, asked, held)
  local rest, dropped, tokens = '', false, nil
  h:headers():remove('content-length')
  for chunk in h:bodyChunks() do
    local out = {}
    rest = rest .. chunk:getBytes(0, chunk:length())
    local from = 1
    while true do
      local stop = find(rest, '\n', from, true)
      if not stop then break end
      local line = sub(rest, from, stop)
      from = stop + 1
      local lead, json = match(line, '^(data: ?)({.*})%s*$')
      if json then
        local text, seen_tokens = event(h, json, asked)
        tokens = seen_tokens or tokens
        dropped = text == nil
        if text then out[#out + 1] = lead .. text .. '\n' end
      elseif dropped and match(line, '^\r?\n$') then
        dropped = false
      else
        out[#out + 1] = line
      end
    end
    rest = sub(rest, from)
    if rest == 'data: [DONE]' then out[#out + 1], rest = rest, '' end
    chunk:setBytes(concat(out))
  end
  settle(held, tokens)
end

local function pass_json(h, asked, held)
  local body = h:body()
  local text = body and body:getBytes(0, body:length()) or ''
  local ok, doc, _, members = pcall(decode, text)
  if not ok or not is_object(doc) then return settle(held, nil) end
  settle(held, note_usage(h, doc.usage))
  local size = body:setBytes(renamed(text, members, doc, asked.model))
  h:headers():replace('content-length', tostring(size))
end

local function static_chunk(asked, choices, usage)
  local chunk = {id = 'chatcmpl-static', object = 'chat.completion.chunk', created = os.time(), model = asked.model}
  chunk.choices, chunk.usage = choices, usage
  return 'data: ' .. encode(chunk) .. '\n\n'
end

local function static_answer(h, asked, held, static)
  local headers, none = h:headers(), {prompt_tokens = 0, completion_tokens = 0, total_tokens = 0}
  local body
  if asked.stream then
    local said = {index = 0, delta = {role = 'assistant', content = static.content}, finish_reason = NULL}
    body = static_chunk(asked, array({said})) .. static_chunk(asked, array({{index = 0, delta = {}, finish_reason = 'stop'}}))
      .. (asked.usage and static_chunk(asked, array({}), none) or '') .. 'data: [DONE]\n\n'
  else
    local message = {role = 'assistant', content = static.content}
    body = encode({id = 'chatcmpl-static', object = 'chat.completion', created = os.time(), model = asked.model,
      choices = array({{index = 0, message = message, finish_reason = 'stop'}}), usage = none})
  end
  settle(held, 0)
  headers:replace(':status', tostring(static.status))
  headers:replace('content-type', asked.stream and 'text/event-stream' or 'application/json')
  headers:remove('retry-after')
  headers:replace('x-aigw-fallback', 'static')
  local size = h:body(true):setBytes(body)
  h:headers():replace('content-length', tostring(size))
end

local function run_response(h)
  local headers, metadata = h:headers(), h:streamInfo():dynamicMetadata()
  local state = metadata:get('aigw.state')
  local target, cause = headers:get('x-aigw-target'), headers:get('x-aigw-cause')
  local tier, tries = headers:get('x-aigw-tier'), headers:get('x-aigw-tries')
  for _, name in ipairs({'x-aigw-target', 'x-aigw-cause', 'x-aigw-tier', 'x-aigw-tries'}) do headers:remove(name) end
  if not state or not state.asked then return end
  if not target and not cause then return settle(state.held, 0) end
  local data, asked = data_of(h), state.asked
  if target then
    local attempts = (tonumber(tier or '1') - 1) * data.each + tonumber(tries or '1')
    headers:replace('x-aigw-attempts', tostring(attempts))
    metadata:set('aigw', 'target', target)
    metadata:set('aigw', 'attempts', attempts)
  end
  if cause then metadata:set('aigw', 'cause', cause) end
  if cause and data.static and data.on[cause] then
    metadata:set('aigw', 'target', 'static')
    return static_answer(h, asked, state.held, data.static)
  end
  if headers:get(':status') ~= '200' then return settle(state.held, 0) end
  if (headers:get('content-type') or ''):find('text/event-stream', 1, true) then
    return pass_stream(h, asked, state.held)
  end
  pass_json(h, asked, state.held)
end
envoy_on_response = guarded_reply(run_response)
