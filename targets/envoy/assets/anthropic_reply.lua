-- An Anthropic Messages reply, whole or as a stream, as a chat completion.
local FINISH = {end_turn = 'stop', stop_sequence = 'stop', max_tokens = 'length', tool_use = 'tool_calls',
  refusal = 'content_filter', pause_turn = 'stop', model_context_window_exceeded = 'length'}
-- Anthropic has no codes; what these messages begin with, OpenAI has a code for.
local STARTS = {['prompt is too long'] = 'context_length_exceeded', ['Your credit balance is too low'] = 'insufficient_quota'}
local OTHERWISE = {not_found_error = 'invalid_request_error', request_too_large = 'invalid_request_error'}

local function number(value) return type(value) == 'number' and value or 0 end

local FIGURES = {'input_tokens', 'output_tokens', 'cache_read_input_tokens', 'cache_creation_input_tokens'}

local function usage_of(u)
  local named = false
  for _, field in ipairs(is_object(u) and FIGURES or {}) do named = named or given(u[field]) end
  if not named then return nil end
  local cached, written = number(u.cache_read_input_tokens), number(u.cache_creation_input_tokens)
  local input, output = number(u.input_tokens) + cached + written, number(u.output_tokens)
  return {prompt_tokens = input, completion_tokens = output, total_tokens = input + output,
    prompt_tokens_details = {cached_tokens = cached, cache_write_tokens = written > 0 and written or nil}}
end

function dialect.response(text, doc, spans)
  local said, calls_made = {}, array({})
  for _, block in ipairs(doc.content) do
    if block.type == 'text' then
      said[#said + 1] = block.text
    elseif block.type == 'tool_use' then
      local span = spans[block.input]
      local inner = {name = block.name, arguments = sub(text, span[1], span[2])}
      calls_made[#calls_made + 1] = {id = block.id, type = 'function', ['function'] = inner}
    end
  end
  local message = {role = 'assistant', content = (#said > 0 or #calls_made == 0) and concat(said) or NULL, refusal = NULL}
  if #calls_made > 0 then message.tool_calls = calls_made end
  local choice = {index = 0, message = message, finish_reason = FINISH[doc.stop_reason] or 'stop', logprobs = NULL}
  return encode({id = doc.id, object = 'chat.completion', created = os.time(), model = doc.model,
    choices = array({choice}), usage = usage_of(doc.usage)})
end

-- Make an error of Anthropic's one of OpenAI's.
function dialect.error(fault)
  for start, code in pairs(STARTS) do
    if fault.message and sub(fault.message, 1, #start) == start then fault.code = code end
  end
  fault.type, fault.param = OTHERWISE[fault.type or ''] or fault.type, nil
end

-- One event of the stream to the chunks that stand for it.
local stream = {start = function() return {calls = 0, index = {}, usage = {}} end}
function stream.chunk(state, doc, out)
  local function chunk(choices, usage)
    out[#out + 1] = 'data: ' .. encode({id = state.id, object = 'chat.completion.chunk', created = state.created,
      model = state.model, choices = choices, usage = usage}) .. '\n\n'
  end
  local function delta(fields, finish) chunk(array({{index = 0, delta = fields, finish_reason = finish or NULL}})) end
  local kind, inner = doc.type, is_object(doc.delta) and doc.delta or {}
  if kind == 'message_start' then
    state.id, state.model, state.created = doc.message.id, doc.message.model, os.time()
    state.usage = is_object(doc.message.usage) and doc.message.usage or {}
    delta({role = 'assistant', content = ''})
  elseif kind == 'content_block_start' and doc.content_block.type == 'tool_use' then
    state.calls = state.calls + 1
    state.index[doc.index] = state.calls - 1
    delta({tool_calls = array({{index = state.calls - 1, id = doc.content_block.id, type = 'function',
      ['function'] = {name = doc.content_block.name, arguments = ''}}})})
  elseif kind == 'content_block_delta' and inner.type == 'text_delta' then
    delta({content = inner.text})
  elseif kind == 'content_block_delta' and inner.type == 'input_json_delta' and state.index[doc.index] then
    delta({tool_calls = array({{index = state.index[doc.index], ['function'] = {arguments = inner.partial_json}}})})
  elseif kind == 'message_delta' then
    delta({}, FINISH[inner.stop_reason] or 'stop')
    for name, value in pairs(is_object(doc.usage) and doc.usage or {}) do
      if value ~= NULL then state.usage[name] = value end
    end
  elseif kind == 'message_stop' then
    local usage = usage_of(state.usage)
    if usage then chunk(array({}), usage) end
    out[#out + 1] = 'data: [DONE]\n\n'
  elseif kind == 'error' then
    error({kind = is_object(doc.error) and doc.error.type}, 0)
  end
end

dialect.stream = stream_by(stream)
