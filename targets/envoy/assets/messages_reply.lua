-- A chat completion, whole or as a stream, as an Anthropic message. Where the provider speaks another dialect than OpenAI's,
-- `dialect` makes one of its answer before.
local STOPS = {stop = 'end_turn', length = 'max_tokens', tool_calls = 'tool_use', function_call = 'tool_use',
  content_filter = 'refusal'}

local function figure(value) return type(value) == 'number' and value or 0 end

-- What came from a cache is counted beside the other input.
local function counted(usage)
  usage = is_object(usage) and usage or {}
  local details = is_object(usage.prompt_tokens_details) and usage.prompt_tokens_details or {}
  local cached, input, output = figure(details.cached_tokens), figure(usage.prompt_tokens), figure(usage.completion_tokens)
  return {input_tokens = math.max(0, input - cached), output_tokens = output,
    cache_read_input_tokens = cached ~= 0 and cached or nil}
end

local function stop_of(finish, tools)
  local stop = STOPS[finish or ''] or 'end_turn'
  return tools and stop == 'end_turn' and 'tool_use' or stop
end

-- A block of a call without its input. What a provider wants back with it stays: a signature of a thought.
local function named(made, text, spans)
  must(is_object(made['function']), 'tool_calls.function')
  return {type = 'tool_use', id = text_of(made.id, 'tool_calls.id'), name = text_of(made['function'].name, 'tool_calls.name'),
    input = {}, extra_content = says(made.extra_content) and verbatim(text, spans, made.extra_content) or nil}
end

-- The reply; and what was used in OpenAI's words, since Anthropic's have no place for all of it.
function messages.response(text, doc, spans)
  if dialect.response then
    text = dialect.response(text, doc, spans)
    doc, spans = decode(text)
  elseif not is_answer('chat', doc) then
    error('no chat completion', 0)
  end
  local choice = doc.choices[1]
  local said, content = choice.message == NULL and {} or choice.message, array({})
  for _, field in ipairs({'content', 'refusal'}) do
    if says(said[field]) then content[#content + 1] = {type = 'text', text = text_of(said[field], field)} end
  end
  local calls = given(said.tool_calls) and said.tool_calls or {}
  for _, made in ipairs(calls) do
    local block, arguments = named(made, text, spans), made['function'].arguments
    local written, input = json_text(says(arguments) and text_of(arguments, 'arguments') or '{}')
    if not is_object(input) then error('the arguments of a tool are no object', 0) end
    block.input = raw(written)
    content[#content + 1] = block
  end
  return encode({id = says(doc.id) and doc.id or 'msg', type = 'message', role = 'assistant',
    model = given(doc.model) and doc.model or '', content = content, stop_sequence = NULL, usage = counted(doc.usage),
    stop_reason = says(said.refusal) and 'refusal' or stop_of(choice.finish_reason, #calls > 0)}), doc.usage
end

local function tell_event(out, kind, fields)
  fields.type = kind
  out[#out + 1] = 'event: ' .. kind .. '\ndata: ' .. encode(fields) .. '\n\n'
end

local function start_message(state, doc, out)
  if state.started then return end
  state.started = true
  tell_event(out, 'message_start', {message = {id = says(doc.id) and doc.id or 'msg', type = 'message', role = 'assistant',
    model = given(doc.model) and doc.model or '', content = array({}), stop_reason = NULL, stop_sequence = NULL,
    usage = {input_tokens = 0, output_tokens = 0}}})
end

local function close_block(state, out)
  if state.open then tell_event(out, 'content_block_stop', {index = state.blocks - 1}) end
  state.open = nil
end

-- Close what grew before, and open a block, unless it is the one that grows already.
local function open_block(state, out, what, block)
  if state.open == what then return end
  close_block(state, out)
  tell_event(out, 'content_block_start', {index = state.blocks, content_block = block})
  state.open, state.blocks = what, state.blocks + 1
end

local function grow_call(state, out, made, text, spans)
  local number, inner = figure(made.index), is_object(made['function']) and made['function'] or {}
  if not state.tools[number] then
    open_block(state, out, number, named(made, text, spans))
    state.tools[number] = state.blocks - 1
  end
  if says(inner.arguments) then
    tell_event(out, 'content_block_delta', {index = state.tools[number],
      delta = {type = 'input_json_delta', partial_json = text_of(inner.arguments, 'arguments')}})
  end
end

local function objects(list)
  if not given(list) then return {} end
  return all_objects(list) and list or error('no list of objects', 0)
end

-- The choices of a chunk, each with a delta; a chunk that is none says nothing of what it holds.
local function choices_of(doc)
  local choices = objects(doc.choices)
  for _, choice in ipairs(choices) do
    choice.delta = given(choice.delta) and choice.delta or {}
    must(is_object(choice.delta), 'delta')
    objects(choice.delta.tool_calls)
  end
  return choices
end

local function add_chunk(state, doc, out, text, spans)
  if says(doc.error) then error({kind = is_object(doc.error) and doc.error.type}, 0) end
  local choices = choices_of(doc)
  start_message(state, doc, out)
  if says(doc.usage) then state.usage = doc.usage end
  for _, choice in ipairs(choices) do
    local delta = choice.delta
    state.refused = state.refused or says(delta.refusal)
    for _, field in ipairs({'content', 'refusal'}) do
      if says(delta[field]) then
        open_block(state, out, 'text', {type = 'text', text = ''})
        tell_event(out, 'content_block_delta', {index = state.blocks - 1,
          delta = {type = 'text_delta', text = text_of(delta[field], field)}})
      end
    end
    for _, made in ipairs(objects(delta.tool_calls)) do grow_call(state, out, made, text, spans) end
    state.finish = says(choice.finish_reason) and choice.finish_reason or state.finish
  end
end

local function end_message(state, out)
  start_message(state, {}, out)
  close_block(state, out)
  local stop = state.refused and 'refusal' or stop_of(state.finish, next(state.tools) ~= nil)
  local used = figures(nil, state.usage)
  if used then out[#out + 1] = used_line(used) end
  tell_event(out, 'message_delta', {delta = {stop_reason = stop, stop_sequence = NULL}, usage = counted(state.usage)})
  tell_event(out, 'message_stop', {})
end

local stream = {start = function() return {blocks = 0, tools = {}} end, chunk = add_chunk, done = end_message}

-- Events of another dialect, by way of the chunks that its own translation makes of each.
local function composed(first)
  local function onward(state, chunks, out)
    for _, chunk in ipairs(chunks) do
      local json = match(chunk, '^data: (.*)\n\n$')
      if json == '[DONE]' then
        end_message(state, out)
      else
        local doc, spans = decode(json)
        add_chunk(state, doc, out, json, spans)
      end
    end
  end
  return {
    start = function() return {first = first.start(), blocks = 0, tools = {}} end,
    chunk = function(state, doc, out, text, spans)
      local chunks = {}
      local ok, fault = pcall(first.chunk, state.first, doc, chunks, text, spans)
      onward(state, chunks, out)
      if not ok then error(fault, 0) end
    end,
    finish = function(state, out)
      local chunks = {}
      first.finish(state.first, chunks)
      onward(state, chunks, out)
    end,
  }
end

messages.stream = stream_by(dialect.events and composed(dialect.events) or stream)
