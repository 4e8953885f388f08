-- A chat completion request, as an Anthropic Messages request. What that dialect cannot carry is named, not dropped.
local CARRIED = fields('model messages max_tokens max_completion_tokens temperature top_p stop stream stream_options user '
  .. 'safety_identifier tools tool_choice parallel_tool_calls '
  -- These do not change what an answer means.
  .. 'metadata store top_logprobs prompt_cache_key service_tier')
-- Fields that mean nothing at these values.
local IDLE = {n = 1, logprobs = false}
local MAX_TOKENS = 4096

local function image(part)
  local url = is_object(part.image_url) and part.image_url.url
  if type(url) ~= 'string' then cannot('image_url') end
  local media, data = match(url, '^data:([%w/%-+.]+);base64,(.*)$')
  if media then return {type = 'image', source = {type = 'base64', media_type = media, data = data}} end
  return {type = 'image', source = {type = 'url', url = url}}
end

local function blocks(content, only_text)
  local out = array({})
  if type(content) == 'string' then
    if content ~= '' then out[1] = {type = 'text', text = content} end
    return out
  end
  if not given(content) then return out end
  if not is_array(content) then cannot('messages.content') end
  for _, part in ipairs(content) do
    local kind = is_object(part) and part.type
    if kind == 'text' and type(part.text) == 'string' then
      if part.text ~= '' then out[#out + 1] = {type = 'text', text = part.text} end
    elseif kind == 'refusal' and type(part.refusal) == 'string' then
      out[#out + 1] = {type = 'text', text = part.refusal}
    elseif kind == 'image_url' and not only_text then
      out[#out + 1] = image(part)
    else
      cannot('content part ' .. plain(kind))
    end
  end
  return out
end

local HOW = {speaker = 'assistant', holds = 'content', parts = blocks}

function HOW.result(message)
  return {type = 'tool_result', tool_use_id = message.tool_call_id, content = blocks(message.content)}
end

function HOW.call(call)
  local inner, arguments = called(call)
  return {type = 'tool_use', id = call.id, name = inner.name, input = raw(arguments)}
end

local function tools(doc, text, spans, out)
  if given(doc.tools) then
    if not is_array(doc.tools) then cannot('tools') end
    out.tools = array({})
    for i, tool in ipairs(doc.tools) do
      local inner = is_object(tool) and tool['function']
      if not is_object(inner) then cannot('tools of another type') end
      local span = is_object(inner.parameters) and spans[inner.parameters]
      out.tools[i] = {name = inner.name, description = given(inner.description) and inner.description or nil,
        input_schema = span and raw(sub(text, span[1], span[2])) or {type = 'object'}}
    end
  end
  local choice, how = doc.tool_choice, nil
  if choice == 'required' then how = {type = 'any'}
  elseif choice == 'none' or choice == 'auto' then how = {type = choice}
  elseif is_object(choice) and is_object(choice['function']) then how = {type = 'tool', name = choice['function'].name}
  elseif given(choice) then cannot('tool_choice') end
  if doc.parallel_tool_calls == false and out.tools then
    how = how or {type = 'auto'}
    if how.type ~= 'none' then how.disable_parallel_tool_use = true end
  end
  if out.tools then out.tool_choice = how end
end

-- drop: a field that cannot be carried is left out, where it is not part of a message.
local function translated(text, drop)
  local doc, spans = decode(text)
  if not drop then carries(doc, CARRIED, IDLE) end
  local out = {model = doc.model, stream = doc.stream == true or nil}
  out.max_tokens = given(doc.max_completion_tokens) and doc.max_completion_tokens
    or given(doc.max_tokens) and doc.max_tokens or MAX_TOKENS
  out.temperature = type(doc.temperature) == 'number' and math.min(doc.temperature, 1) or nil
  out.top_p = given(doc.top_p) and doc.top_p or nil
  if given(doc.stop) then out.stop_sequences = type(doc.stop) == 'string' and array({doc.stop}) or doc.stop end
  if type(doc.user) == 'string' then out.metadata = {user_id = doc.user} end
  local system, messages = conversation(doc.messages, HOW)
  for i, block in ipairs(system) do system[i] = block.text end
  if #system > 0 then out.system = concat(system, '\n') end
  out.messages = messages
  tools(doc, text, spans, out)
  return encode(out)
end

dialect.request = request_by(translated)
