-- A reply of Gemini's API, whole or as a stream, as a chat completion; embeddings.
local FINISH = {STOP = 'stop', MAX_TOKENS = 'length'}
for name in ('SAFETY RECITATION LANGUAGE BLOCKLIST PROHIBITED_CONTENT SPII IMAGE_SAFETY IMAGE_PROHIBITED_CONTENT '
  .. 'IMAGE_RECITATION MODEL_ARMOR'):gmatch('%S+') do FINISH[name] = 'content_filter' end
-- Reasons to stop that no other dialect has: the model failed, and another try may not.
local BROKEN = fields('MALFORMED_FUNCTION_CALL UNEXPECTED_TOOL_CALL TOO_MANY_TOOL_CALLS MISSING_THOUGHT_SIGNATURE '
  .. 'MALFORMED_RESPONSE')
local KINDS = {RESOURCE_EXHAUSTED = 'rate_limit_error', UNAUTHENTICATED = 'authentication_error',
  PERMISSION_DENIED = 'permission_error', UNAVAILABLE = 'overloaded_error', INTERNAL = 'api_error',
  DEADLINE_EXCEEDED = 'timeout_error', INVALID_ARGUMENT = 'invalid_request_error', NOT_FOUND = 'invalid_request_error',
  FAILED_PRECONDITION = 'invalid_request_error'}

local function number(value) return type(value) == 'number' and value or 0 end

local function usage_of(u)
  if not is_object(u) then return nil end
  local prompt, thoughts = number(u.promptTokenCount) + number(u.toolUsePromptTokenCount), number(u.thoughtsTokenCount)
  local output = number(u.candidatesTokenCount) + thoughts
  return {prompt_tokens = prompt, completion_tokens = output, total_tokens = prompt + output,
    prompt_tokens_details = {cached_tokens = number(u.cachedContentTokenCount)},
    completion_tokens_details = thoughts > 0 and {reasoning_tokens = thoughts} or nil}
end

local function head_of(doc, kind)
  local function word(value, default) return type(value) == 'string' and value ~= '' and value or default end
  return {id = word(doc.responseId, 'gemini'), object = kind, created = os.time(), model = word(doc.modelVersion, '')}
end

local function with(head, fields)
  for name, value in pairs(head) do fields[name] = value end
  return encode(fields)
end

local function finish_of(reason, calls)
  if not given(reason) then return nil end
  if BROKEN[reason] then error('the model failed', 0) end
  local finish = FINISH[reason] or 'stop'
  return calls and finish == 'stop' and 'tool_calls' or finish
end

-- Text, thoughts and calls of tools of a candidate, or of a part of one; calls are numbered from `from`.
local function pieces(candidate, head, text, spans, from, numbered)
  local said, thoughts, calls = {}, {}, array({})
  for _, part in ipairs(is_object(candidate.content) and candidate.content.parts or {}) do
    local call = part.functionCall
    if call then
      local args, at = is_object(call.args) and spans[call.args], from + #calls
      local id = type(call.id) == 'string' and call.id ~= '' and call.id or 'call_' .. head.id .. '_' .. at
      calls[#calls + 1] = {index = numbered and at or nil, id = id, type = 'function',
        ['function'] = {name = call.name, arguments = args and sub(text, args[1], args[2]) or '{}'},
        extra_content = part.thoughtSignature and {google = {thought_signature = part.thoughtSignature}} or nil}
    elseif type(part.text) == 'string' then
      local list = part.thought == true and thoughts or said
      list[#list + 1] = part.text
    end
  end
  return concat(said), concat(thoughts), calls
end

local function blocked(doc)
  local feedback = is_object(doc.promptFeedback) and doc.promptFeedback.blockReason
  local empty = not is_array(doc.candidates) or #doc.candidates == 0
  return empty and type(feedback) == 'string' and feedback ~= '' and feedback
end

local function chat(text, doc, spans)
  local reason = blocked(doc)
  if reason then
    error({refused = {message = 'The provider blocked the prompt: ' .. reason .. '.', type = 'invalid_request_error',
      param = NULL, code = 'content_filter'}}, 0)
  end
  local head, choices = head_of(doc, 'chat.completion'), array({})
  for i, candidate in ipairs(doc.candidates) do
    local said, thoughts, calls = pieces(candidate, head, text, spans, 0)
    local message = {role = 'assistant', content = (said ~= '' or #calls == 0) and said or NULL,
      reasoning_content = thoughts ~= '' and thoughts or nil, tool_calls = #calls > 0 and calls or nil}
    choices[i] = {index = given(candidate.index) and candidate.index or i - 1, message = message, logprobs = NULL,
      finish_reason = finish_of(candidate.finishReason, #calls > 0) or 'stop'}
  end
  if #choices == 0 then error('no candidates', 0) end
  return with(head, {choices = choices, usage = usage_of(doc.usageMetadata)})
end

local function embedded(doc)
  local data = array({})
  for i, one in ipairs(doc.embeddings) do
    if not is_array(one.values) then error('no embedding', 0) end
    data[i] = {object = 'embedding', index = i - 1, embedding = one.values}
  end
  local counted = is_object(doc.usageMetadata) and doc.usageMetadata.promptTokenCount
  return encode({object = 'list', data = data, model = '',
    usage = counted and {prompt_tokens = counted, total_tokens = counted} or nil})
end

function dialect.response(text, doc, spans, embeds)
  if embeds then return embedded(doc) end
  return chat(text, doc, spans)
end

-- Make an error of Gemini's one of OpenAI's. A key that is no key is 400 there, told by its details.
function dialect.error(fault, inner)
  fault.type, fault.param, fault.code = KINDS[inner.status], nil, nil
  if find(fault.message or '', '^The input token count') then fault.code = 'context_length_exceeded' end
  for _, detail in ipairs(is_array(inner.details) and inner.details or {}) do
    if is_object(detail) and detail.reason == 'API_KEY_INVALID' then fault.type = 'authentication_error' end
  end
end

dialect.events = {start = function() return {} end}
function dialect.events.chunk(state, doc, out, text, spans)
  local function chunk(fields) out[#out + 1] = 'data: ' .. with(state.head, fields) .. '\n\n' end
  local function delta(index, fields, finish)
    chunk({choices = array({{index = index, delta = fields, logprobs = NULL, finish_reason = finish or NULL}})})
  end
  if given(doc.error) then
    local fault, inner = {}, is_object(doc.error) and doc.error or {}
    dialect.error(fault, inner)
    error({kind = fault.type}, 0)
  end
  if not state.head and blocked(doc) then error('the provider failed', 0) end
  if not state.head then
    state.head, state.open = head_of(doc, 'chat.completion.chunk'), {[0] = 0}
    delta(0, {role = 'assistant', content = ''})
  end
  state.usage = usage_of(doc.usageMetadata) or state.usage
  for _, candidate in ipairs(is_array(doc.candidates) and doc.candidates or {}) do
    local index = number(candidate.index)
    local before = state.open[index] or 0
    local said, thoughts, calls = pieces(candidate, state.head, text, spans, before, true)
    if thoughts ~= '' then delta(index, {reasoning_content = thoughts}) end
    if said ~= '' then delta(index, {content = said}) end
    if #calls > 0 then delta(index, {tool_calls = calls}) end
    state.open[index] = before + #calls
    local finish = finish_of(candidate.finishReason, state.open[index] > 0)
    if finish then
      state.open[index] = nil
      delta(index, {}, finish)
    end
  end
end

function dialect.events.finish(state, out)
  if not state.head or next(state.open) ~= nil then return end
  if state.usage then out[#out + 1] = 'data: ' .. with(state.head, {choices = array({}), usage = state.usage}) .. '\n\n' end
  out[#out + 1] = 'data: [DONE]\n\n'
end

dialect.stream = stream_by(dialect.events)
