-- A chat completion request, as an Anthropic Messages request. What that dialect cannot carry is named, not dropped.
local CARRIED = fields('model messages max_tokens max_completion_tokens temperature top_p stop stream stream_options user '
  .. 'safety_identifier tools tool_choice parallel_tool_calls '
  -- These do not change what an answer means.
  .. 'metadata store top_logprobs prompt_cache_key service_tier')
-- Fields that mean nothing at these values.
local IDLE = {n = '1', logprobs = 'false', frequency_penalty = '0', presence_penalty = '0', logit_bias = '{}',
  modalities = '["text"]', functions = '[]', response_format = '{"type":"text"}'}
local WORDS = {required = 'any', none = 'none', auto = 'auto'}
local MAX_TOKENS = 4096

local function image(part)
  local url, media, data = image_of(part)
  if media then return {type = 'image', source = {type = 'base64', media_type = media, data = data}} end
  return {type = 'image', source = {type = 'url', url = url}}
end

local blocks = parts_by(function(text) return {type = 'text', text = text} end, image)

local HOW = {speaker = 'assistant', holds = 'content', parts = blocks}

function HOW.result(message)
  return {type = 'tool_result', tool_use_id = text_of(message.tool_call_id, 'tool_call_id'), content = blocks(message.content)}
end

function HOW.call(call, id, name, arguments)
  return call and {type = 'tool_use', id = id, name = name, input = raw(arguments)}
end

local function tools(doc, text, spans, out)
  local found = tools_of(doc, text, spans)
  if #found == 0 then return end
  out.tools = array({})
  for i, tool in ipairs(found) do
    out.tools[i] = {name = tool.name, description = tool.description, input_schema = tool.schema or {type = 'object'}}
  end
  local word, name = choice_of(doc.tool_choice)
  local how = name and {type = 'tool', name = name} or word and {type = WORDS[word]} or nil
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

local function translated(text)
  local doc, spans, members = decode(text)
  local written = written_by(text, doc, members)
  carries(doc, CARRIED, IDLE)
  local out = {model = doc.model, stop_sequences = stops_of(doc)}
  if given(doc.stream) then out.stream = doc.stream end
  out.max_tokens = written('max_completion_tokens') or written('max_tokens') or MAX_TOKENS
  out.temperature, out.top_p = most_one(doc.temperature, 'temperature'), most_one(doc.top_p, 'top_p')
  local user = type(doc.user) == 'string' and doc.user or doc.safety_identifier
  if type(user) == 'string' then out.metadata = {user_id = user} end
  local system, messages = conversation(doc.messages, HOW)
  for i, block in ipairs(system) do system[i] = block.text end
  if #system > 0 then out.system = concat(system, '\n') end
  out.messages = messages
  tools(doc, text, spans, out)
  return encode(out)
end

dialect.request = request_by(translated)
