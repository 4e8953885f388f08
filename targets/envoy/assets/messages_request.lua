-- An Anthropic Messages request, as a chat completion; and from there on as `dialect` has it, where the provider speaks another.
local messages = {}

local KNOWN = fields('model messages system max_tokens stream stop_sequences temperature top_p tools tool_choice metadata '
  .. 'thinking '
  -- These do not change what an answer means.
  .. 'service_tier cache_control inference_geo speed diagnostics')
local TOOL = fields('type name description input_schema strict cache_control')
local CHOICES = {auto = 'auto', any = 'required', none = 'none'}

-- Whether something is there that says more than nothing.
local function says(value)
  return given(value) and value ~= false and value ~= '' and value ~= 0 and (type(value) ~= 'table' or next(value) ~= nil)
end

-- A value as it is written, where it is an object or a list.
local function verbatim(text, spans, value)
  local span = type(value) == 'table' and spans[value]
  return span and raw(sub(text, span[1], span[2])) or value
end

local function pictured(block)
  local source = block.source
  must(is_object(source), 'source')
  if source.type == 'base64' then
    return 'data:' .. text_of(source.media_type, 'source.media_type') .. ';base64,' .. text_of(source.data, 'source.data')
  elseif source.type == 'url' then
    return text_of(source.url, 'source.url')
  end
  cannot('source.type ' .. plain(source.type))
end

local function add_part(parts, block, images)
  must(is_object(block), 'content')
  if block.type == 'text' then
    if says(block.citations) then cannot('citations') end
    if text_of(block.text, 'text') ~= '' then parts[#parts + 1] = {type = 'text', text = block.text} end
  elseif block.type == 'image' and images then
    local url = pictured(block)
    if url then parts[#parts + 1] = {type = 'image_url', image_url = {url = url}} end
  else
    cannot('content ' .. plain(block.type))
  end
end

-- The texts of a content that has nothing else.
local function texts_of(content, between)
  if not says(content) then return '' end
  if type(content) == 'string' then return content end
  must(is_array(content), 'content')
  local parts, said = {}, {}
  for _, block in ipairs(content) do add_part(parts, block, false) end
  for i, part in ipairs(parts) do said[i] = part.text end
  return concat(said, between)
end

local function add_system(turns, content)
  local said = texts_of(content, '\n')
  if said ~= '' then turns[#turns + 1] = {role = 'system', content = said} end
end

local function result(block)
  if says(block.is_error) then cannot('is_error') end
  return {role = 'tool', tool_call_id = text_of(block.tool_use_id, 'tool_use_id'), content = texts_of(block.content, '\n')}
end

local function call(block, text, spans, strict)
  must(is_object(block.input), 'input')
  local span = spans[block.input]
  return {id = text_of(block.id, 'id'), type = 'function',
    ['function'] = {name = text_of(block.name, 'name'), arguments = sub(text, span[1], span[2])},
    -- What another provider wants back with it is nothing to one that refuses fields that it does not know.
    extra_content = not strict and says(block.extra_content) and verbatim(text, spans, block.extra_content) or nil}
end

-- One message: the results of tools become messages of their own, before what the user says.
local function add_turn(turns, message, text, spans, strict)
  local role, content, user = message.role, message.content, message.role == 'user'
  if role == 'system' then return add_system(turns, content) end
  if not user and role ~= 'assistant' then return cannot('role ' .. plain(role)) end
  if type(content) == 'string' then
    turns[#turns + 1] = {role = role, content = content}
    return
  end
  local parts, apart = array({}), array({})
  for _, block in ipairs(content) do
    if block.type == (user and 'tool_result' or 'tool_use') then apart[#apart + 1] = block else add_part(parts, block, user) end
  end
  if user then
    for _, block in ipairs(apart) do turns[#turns + 1] = result(block) end
    if #parts > 0 then turns[#turns + 1] = {role = role, content = parts} end
  elseif #parts > 0 or #apart > 0 then
    for i, block in ipairs(apart) do apart[i] = call(block, text, spans, strict) end
    for i, part in ipairs(parts) do parts[i] = part.text end
    turns[#turns + 1] = {role = role, content = #parts > 0 and concat(parts) or NULL, tool_calls = #apart > 0 and apart or nil}
  end
end

local function tool(one, text, spans)
  must(is_object(one), 'tools')
  if given(one.type) and one.type ~= 'custom' then return cannot('tools of another type') end
  for field, value in pairs(one) do
    if not TOOL[field] and (says(value) or value == '') then cannot(plain(field)) end
  end
  must(is_object(one.input_schema), 'input_schema')
  return {type = 'function', ['function'] = {name = text_of(one.name, 'tools.name'),
    parameters = verbatim(text, spans, one.input_schema), description = says(one.description) and one.description or nil,
    strict = says(one.strict) and one.strict or nil}}
end

local function add_tools(out, doc, text, spans)
  if not says(doc.tools) then return end
  must(is_array(doc.tools), 'tools')
  local found = array({})
  for _, one in ipairs(doc.tools) do found[#found + 1] = tool(one, text, spans) end
  if #found == 0 then return end
  out.tools = found
  local choice = doc.tool_choice
  if not given(choice) then return end
  must(is_object(choice), 'tool_choice')
  if says(choice.disable_parallel_tool_use) then out.parallel_tool_calls = false end
  if choice.type == 'tool' then
    out.tool_choice = {type = 'function', ['function'] = {name = text_of(choice.name, 'tool_choice.name')}}
  else
    out.tool_choice = CHOICES[choice.type or '']
    must(out.tool_choice, 'tool_choice.type')
  end
end

-- data.hub: `cap`, the provider's name for a cap on the answer, and whether it is `strict` about fields that it does not know.
local as_chat = request_by(function(text, data)
  local doc, spans, members = decode(text)
  local written = written_by(text, doc, members)
  for field, value in pairs(doc) do
    local empty = type(value) == 'table' and next(value) == nil
    if not KNOWN[field] and not empty then cannot(plain(field)) end
  end
  if is_object(doc.thinking) and doc.thinking.type ~= 'disabled' then cannot('thinking') end
  local turns = array({})
  add_system(turns, doc.system)
  for _, message in ipairs(doc.messages) do add_turn(turns, message, text, spans, data.hub.strict) end
  local out = {model = doc.model, messages = turns, temperature = written('temperature'), top_p = written('top_p'),
    stream = written('stream'), [data.hub.cap] = written('max_tokens')}
  -- Usage is always asked for: this dialect always has it.
  if doc.stream == true then out.stream_options = {include_usage = true} end
  if says(doc.stop_sequences) then
    must(is_array(doc.stop_sequences), 'stop_sequences')
    out.stop = written('stop_sequences')
  end
  local about = says(doc.metadata) and doc.metadata or {}
  must(is_object(about), 'metadata')
  if type(about.user_id) == 'string' then out.user = about.user_id end
  add_tools(out, doc, text, spans)
  return encode(out)
end)

function messages.request(text, drop, data)
  local made, code, what = as_chat(text, drop, data)
  if made and dialect.request then return dialect.request(made, drop, data) end
  return made, code, what
end
