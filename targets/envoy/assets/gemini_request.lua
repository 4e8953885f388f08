-- A chat completion or embeddings request, as Gemini's API has it (v1beta). The model's name stands in the path.
local CARRIED = fields('model messages stream stream_options max_tokens max_completion_tokens temperature top_p stop n seed '
  .. 'presence_penalty frequency_penalty response_format tools tool_choice parallel_tool_calls '
  -- These do not change what an answer means.
  .. 'user safety_identifier metadata store prompt_cache_key service_tier top_logprobs')
local IDLE = {logprobs = false, logit_bias = 'empty', functions = 'empty'}
local NUMBERS = {temperature = 'temperature', top_p = 'topP', seed = 'seed', presence_penalty = 'presencePenalty',
  frequency_penalty = 'frequencyPenalty', n = 'candidateCount'}
local MODES = {auto = 'AUTO', required = 'ANY', none = 'NONE'}
local EMBEDS = fields('model input dimensions encoding_format user')

local function parts_of(content, only_text)
  local out = array({})
  if type(content) == 'string' then
    if content ~= '' then out[1] = {text = content} end
    return out
  end
  if not given(content) then return out end
  if not is_array(content) then cannot('messages.content') end
  for _, part in ipairs(content) do
    local kind = is_object(part) and part.type
    local said = (kind == 'text' or kind == 'refusal') and part[kind]
    if type(said) == 'string' then
      if said ~= '' then out[#out + 1] = {text = said} end
    elseif kind == 'image_url' and not only_text then
      local url = is_object(part.image_url) and part.image_url.url
      local media, data = match(type(url) == 'string' and url or '', '^data:([%w/%-+.]+);base64,(.*)$')
      if not media then cannot('image_url that is no data URL') end
      out[#out + 1] = {inlineData = {mimeType = media, data = data}}
    else
      cannot('content part ' .. plain(kind))
    end
  end
  return out
end

-- What calls and their results share: the name of a call by its id.
local function speaking()
  local how, names = {speaker = 'model', holds = 'parts', parts = parts_of}, {}
  function how.call(call)
    local inner, arguments = called(call)
    if type(call.id) ~= 'string' or type(inner.name) ~= 'string' then cannot('tool_calls without an id or a name') end
    names[call.id] = inner.name
    local google = is_object(call.extra_content) and call.extra_content.google
    local signature = is_object(google) and google.thought_signature
    return {functionCall = {id = call.id, name = inner.name, args = raw(arguments)},
      thoughtSignature = type(signature) == 'string' and signature or nil}
  end
  function how.result(message)
    local id, texts = message.tool_call_id, {}
    if type(id) ~= 'string' or not names[id] then cannot('a result of a tool that was not called') end
    for i, part in ipairs(parts_of(message.content, true)) do texts[i] = part.text end
    local said = concat(texts, '\n')
    local ok, doc = pcall(decode, said)
    local response = ok and is_object(doc) and raw(said) or {output = ok and raw(said) or said}
    return {functionResponse = {id = id, name = names[id], response = response}}
  end
  return how
end

local function declared(doc, text, spans, out)
  if not given(doc.tools) then return end
  if not is_array(doc.tools) then cannot('tools') end
  local list = array({})
  for i, tool in ipairs(doc.tools) do
    local inner = is_object(tool) and tool.type == 'function' and tool['function']
    if not is_object(inner) then cannot('tools of another type') end
    if inner.strict == true then cannot('tools.function.strict') end
    local schema = is_object(inner.parameters) and next(inner.parameters) ~= nil and spans[inner.parameters]
    list[i] = {name = inner.name, description = given(inner.description) and inner.description or nil,
      parametersJsonSchema = schema and raw(sub(text, schema[1], schema[2])) or nil}
  end
  if #list == 0 then return end
  out.tools = array({{functionDeclarations = list}})
  if doc.parallel_tool_calls == false then cannot('parallel_tool_calls') end
  local choice, mode = doc.tool_choice, nil
  if is_object(choice) and is_object(choice['function']) then
    mode = {mode = 'ANY', allowedFunctionNames = array({choice['function'].name})}
  elseif MODES[choice] then
    mode = {mode = MODES[choice]}
  elseif given(choice) then
    cannot('tool_choice')
  end
  if mode then out.toolConfig = {functionCallingConfig = mode} end
end

local function formed(doc, text, spans, config)
  local form = doc.response_format
  if not is_object(form) or form.type == 'text' then return end
  if form.type ~= 'json_object' and form.type ~= 'json_schema' then cannot('response_format') end
  config.responseMimeType = 'application/json'
  local named = form.type == 'json_schema' and is_object(form.json_schema) and form.json_schema.schema
  local schema = is_object(named) and spans[named]
  if schema then config.responseJsonSchema = raw(sub(text, schema[1], schema[2])) end
end

local function chat(doc, text, spans, drop)
  if not drop then carries(doc, CARRIED, IDLE) end
  local how, out, config = speaking(), {}, {}
  local system, contents = conversation(doc.messages, how)
  out.contents = contents
  if #system > 0 then out.systemInstruction = {parts = system} end
  for field, name in pairs(NUMBERS) do
    if type(doc[field]) == 'number' then config[name] = doc[field] end
  end
  config.maxOutputTokens = given(doc.max_completion_tokens) and doc.max_completion_tokens
    or given(doc.max_tokens) and doc.max_tokens or nil
  if given(doc.stop) then config.stopSequences = type(doc.stop) == 'string' and array({doc.stop}) or doc.stop end
  formed(doc, text, spans, config)
  if next(config) ~= nil then out.generationConfig = config end
  declared(doc, text, spans, out)
  return out
end

local function embedding(doc)
  for field, value in pairs(doc) do
    if not EMBEDS[field] and given(value) then cannot(plain(field)) end
  end
  local inputs = is_array(doc.input) and doc.input or {doc.input}
  local name, requests = 'models/' .. doc.model:gsub('^models/', ''), array({})
  for i, one in ipairs(inputs) do
    if type(one) ~= 'string' then cannot('input of tokens') end
    requests[i] = {model = name, content = {parts = array({{text = one}})},
      outputDimensionality = given(doc.dimensions) and doc.dimensions or nil}
  end
  return {requests = requests}
end

dialect.request = request_by(function(text, drop, embeds)
  local doc, spans = decode(text)
  return encode(embeds and embedding(doc) or chat(doc, text, spans, drop)), doc.stream == true
end)
