-- A chat completion request, as an Anthropic Messages request. What that dialect cannot carry is named, not dropped.
local dialect = {}
local CARRIED = {}
for _, field in ipairs({'model', 'messages', 'max_tokens', 'max_completion_tokens', 'temperature', 'top_p', 'stop', 'stream',
  'stream_options', 'user', 'safety_identifier', 'tools', 'tool_choice', 'parallel_tool_calls',
  -- These do not change what an answer means.
  'metadata', 'store', 'top_logprobs', 'prompt_cache_key', 'service_tier'}) do CARRIED[field] = true end
-- Fields that mean nothing at these values, as JSON.
local IDLE = {n = '1', logprobs = 'false', frequency_penalty = '0', presence_penalty = '0', logit_bias = '{}',
  modalities = '["text"]', functions = '[]', response_format = '{"type":"text"}'}
local MAX_TOKENS = 4096

local function given(value) return value ~= nil and value ~= NULL end
local function cannot(what) error({code = 'unsupported_by_provider', what = what}, 0) end
local function word(value) return type(value) == 'string' and match(value, '^[%w_.-]+$') or '?' end

-- What has a place in the dialect, but no meaning there or anywhere.
local function must(fits, what)
  if not fits then error({code = 'invalid_request', what = what}, 0) end
end

local function text_of(value, what)
  must(type(value) == 'string', what)
  return value
end

local function image(part)
  must(is_object(part.image_url), 'image_url')
  local url = text_of(part.image_url.url, 'image_url.url')
  local media, data = match(url, '^data:([%w/%-+._]+);base64,(.*)$')
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
  for _, part in ipairs(content) do
    local kind = part.type
    if kind == 'text' or kind == 'refusal' then
      local text = text_of(part[kind], 'content part ' .. kind)
      if text ~= '' then out[#out + 1] = {type = 'text', text = text} end
    elseif kind == 'image_url' and not only_text then
      out[#out + 1] = image(part)
    else
      cannot('content part ' .. word(kind))
    end
  end
  return out
end

local function calls(message, out)
  if given(message.function_call) then cannot('function_call') end
  if not given(message.tool_calls) then return end
  must(is_array(message.tool_calls), 'tool_calls')
  for _, call in ipairs(message.tool_calls) do
    local inner = is_object(call) and call['function']
    if not is_object(inner) then cannot('tool_calls of another type') end
    local arguments = given(inner.arguments) and inner.arguments ~= '' and inner.arguments or '{}'
    local ok, doc = pcall(decode, arguments)
    must(type(arguments) == 'string' and ok and is_object(doc), 'tool arguments that are no JSON object')
    out[#out + 1] = {type = 'tool_use', id = text_of(call.id, 'tool_calls.id'),
      name = text_of(inner.name, 'tool_calls.function.name'), input = raw(arguments)}
  end
end

local function conversation(list)
  local system, out = {}, array({})
  local function push(role, content)
    local last = out[#out]
    if last and last.role == role then
      for _, block in ipairs(content) do last.content[#last.content + 1] = block end
    elseif #content > 0 then
      out[#out + 1] = {role = role, content = content}
    end
  end
  for _, message in ipairs(list) do
    local role = message.role
    if role == 'system' or role == 'developer' then
      for _, block in ipairs(blocks(message.content, true)) do system[#system + 1] = block.text end
    elseif role == 'tool' then
      local id = text_of(message.tool_call_id, 'tool_call_id')
      push('user', array({{type = 'tool_result', tool_use_id = id, content = blocks(message.content)}}))
    elseif role == 'assistant' then
      local content = blocks(message.content, true)
      calls(message, content)
      push('assistant', content)
    elseif role == 'user' then
      push('user', blocks(message.content))
    else
      cannot('role ' .. word(role))
    end
  end
  return system, out
end

local function tools(doc, text, spans, out)
  if not given(doc.tools) then return end
  must(is_array(doc.tools), 'tools')
  if #doc.tools == 0 then return end
  out.tools = array({})
  for i, tool in ipairs(doc.tools) do
    if not is_object(tool) or tool.type ~= 'function' then cannot('tools of another type') end
    local inner = tool['function']
    must(is_object(inner), 'tools.function')
    if inner.strict == true then cannot('tools.function.strict') end
    local span = is_object(inner.parameters) and next(inner.parameters) ~= nil and spans[inner.parameters]
    out.tools[i] = {name = text_of(inner.name, 'tools.function.name'),
      description = given(inner.description) and inner.description ~= '' and inner.description or nil,
      input_schema = span and raw(sub(text, span[1], span[2])) or {type = 'object'}}
  end
  local choice, how = doc.tool_choice, nil
  if choice == 'required' then how = {type = 'any'}
  elseif choice == 'none' or choice == 'auto' then how = {type = choice}
  elseif is_object(choice) then
    if choice.type ~= 'function' then cannot('tool_choice.type ' .. word(choice.type)) end
    must(is_object(choice['function']), 'tool_choice.function')
    how = {type = 'tool', name = text_of(choice['function'].name, 'tool_choice.function.name')}
  else
    must(not given(choice), 'tool_choice')
  end
  if doc.parallel_tool_calls == false then
    how = how or {type = 'auto'}
    if how.type ~= 'none' then how.disable_parallel_tool_use = true end
  end
  out.tool_choice = how
end

local function most_one(value, what)
  if not given(value) then return nil end
  must(type(value) == 'number', what)
  return math.min(value, 1)
end

-- drop: a field that cannot be carried is left out, where it is not part of a message.
local function translated(text, drop)
  local doc, spans = decode(text)
  for field, value in pairs(doc) do
    if not drop and not CARRIED[field] and given(value) and encode(value) ~= IDLE[field] then cannot(word(field)) end
  end
  local out = {model = doc.model}
  if given(doc.stream) then out.stream = doc.stream end
  out.max_tokens = given(doc.max_completion_tokens) and doc.max_completion_tokens
    or given(doc.max_tokens) and doc.max_tokens or MAX_TOKENS
  out.temperature, out.top_p = most_one(doc.temperature, 'temperature'), most_one(doc.top_p, 'top_p')
  if given(doc.stop) and doc.stop ~= '' then
    must(type(doc.stop) == 'string' or is_array(doc.stop), 'stop')
    local stops = type(doc.stop) == 'string' and array({doc.stop}) or doc.stop
    if #stops > 0 then out.stop_sequences = stops end
  end
  local user = type(doc.user) == 'string' and doc.user or doc.safety_identifier
  if type(user) == 'string' then out.metadata = {user_id = user} end
  local system, messages = conversation(doc.messages)
  if #system > 0 then out.system = concat(system, '\n') end
  out.messages = messages
  tools(doc, text, spans, out)
  return encode(out)
end

-- Return the other dialect's body, or nil, the code of a refusal, and what is wrong.
function dialect.request(text, drop)
  local ok, result = pcall(translated, text, drop)
  if ok then return result end
  if type(result) == 'table' and result.code then return nil, result.code, result.what end
  error(result, 0)
end
