-- A chat completion or embeddings request, as Gemini's API has it (v1beta). The model's name stands in the path.
local CARRIED = fields('model messages stream stream_options max_tokens max_completion_tokens temperature top_p stop n seed '
  .. 'presence_penalty frequency_penalty response_format tools tool_choice parallel_tool_calls '
  -- These do not change what an answer means.
  .. 'user safety_identifier metadata store prompt_cache_key service_tier top_logprobs')
local IDLE = {logprobs = 'false', logit_bias = '{}', modalities = '["text"]', functions = '[]'}
local NUMBERS = {temperature = 'temperature', top_p = 'topP', seed = 'seed', presence_penalty = 'presencePenalty',
  frequency_penalty = 'frequencyPenalty', n = 'candidateCount'}
local MODES = {auto = 'AUTO', required = 'ANY', none = 'NONE'}
local EMBEDS = fields('model input dimensions encoding_format user')

local parts_of = parts_by(function(text) return {text = text} end, function(part)
  local _, media, data = image_of(part)
  if media then return {inlineData = {mimeType = media, data = data}} end
  cannot('image_url that is no data URL')
end)

-- What calls and their results share: the name of a call by its id.
local function speaking()
  local how, names = {speaker = 'model', holds = 'parts', parts = parts_of}, {}
  function how.call(call, id, name, arguments)
    if not call then return nil end
    names[id] = name
    local google = is_object(call.extra_content) and call.extra_content.google
    local signature = is_object(google) and google.thought_signature
    return {functionCall = {id = id, name = name, args = raw(arguments)},
      thoughtSignature = type(signature) == 'string' and signature or nil}
  end
  function how.result(message)
    local id, texts = text_of(message.tool_call_id, 'tool_call_id'), {}
    must(names[id], 'a result of a tool that was not called')
    for i, part in ipairs(parts_of(message.content, true)) do texts[i] = part.text end
    local said = concat(texts, '\n')
    local written, value = json_text(said)
    local response = is_object(value) and raw(written) or {output = written and raw(written) or said}
    return {functionResponse = {id = id, name = names[id], response = response}}
  end
  return how
end

local function declared(doc, text, spans, out)
  local list = array({})
  for i, tool in ipairs(tools_of(doc, text, spans)) do
    list[i] = {name = tool.name, description = tool.description, parametersJsonSchema = tool.schema}
  end
  if #list == 0 then return end
  out.tools = array({{functionDeclarations = list}})
  if doc.parallel_tool_calls == false then cannot('parallel_tool_calls') end
  local word, name = choice_of(doc.tool_choice)
  local mode = name and {mode = 'ANY', allowedFunctionNames = array({name})} or word and {mode = MODES[word]}
  if mode then out.toolConfig = {functionCallingConfig = mode} end
end

local function formed(doc, text, spans, config)
  local form = doc.response_format
  must(not given(form) or is_object(form), 'response_format')
  if not given(form) or form.type == nil or form.type == 'text' then return end
  if form.type ~= 'json_object' and form.type ~= 'json_schema' then return cannot('response_format') end
  config.responseMimeType = 'application/json'
  if form.type == 'json_object' then return end
  must(is_object(form.json_schema), 'response_format.json_schema')
  local named = form.json_schema.schema
  local schema = is_object(named) and spans[named]
  if schema then config.responseJsonSchema = raw(sub(text, schema[1], schema[2])) end
end

local function chat(doc, text, spans, members)
  carries(doc, CARRIED, IDLE)
  local how, out, config, written = speaking(), {}, {}, written_by(text, doc, members)
  local system, contents = conversation(doc.messages, how)
  out.contents = contents
  if #system > 0 then out.systemInstruction = {parts = system} end
  for field, name in pairs(NUMBERS) do
    must(not given(doc[field]) or type(doc[field]) == 'number', field)
    config[name] = written(field)
  end
  config.maxOutputTokens = written('max_completion_tokens') or written('max_tokens')
  config.stopSequences = stops_of(doc)
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
  for _, one in ipairs(inputs) do
    if type(one) == 'string' then
      requests[#requests + 1] = {model = name, content = {parts = array({{text = one}})},
        outputDimensionality = given(doc.dimensions) and doc.dimensions or nil}
    else
      cannot('input of tokens')
    end
  end
  return {requests = requests}
end

dialect.request = request_by(function(text, data)
  local doc, spans, members = decode(text)
  return encode(data.embeds and embedding(doc) or chat(doc, text, spans, members))
end)
