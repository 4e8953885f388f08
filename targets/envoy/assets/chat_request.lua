-- What translations of a chat completion request share: its parts, tools and turns.

-- What makes the other dialect's parts of a content: texted(text) and pictured(part) make one; nil is none.
local function parts_by(texted, pictured)
  return function(content, only_text)
    local out = array({})
    if type(content) == 'string' then
      if content ~= '' then out[1] = texted(content) end
      return out
    end
    if not given(content) then return out end
    for _, part in ipairs(content) do
      local kind = part.type
      if kind == 'text' or kind == 'refusal' then
        local text = text_of(part[kind], 'content part ' .. kind)
        if text ~= '' then out[#out + 1] = texted(text) end
      elseif kind == 'image_url' and not only_text then
        out[#out + 1] = pictured(part)
      else
        cannot('content part ' .. plain(kind))
      end
    end
    return out
  end
end

-- Refuse the first field that is not carried; `idle` are those that mean nothing at these values, as JSON.
local function carries(doc, carried, idle)
  for field, value in pairs(doc) do
    if not carried[field] and given(value) and encode(value) ~= idle[field] then cannot(plain(field)) end
  end
end

-- What ends an answer: a text or a list of them; nil where there is none.
local function stops_of(doc)
  if not given(doc.stop) or doc.stop == '' then return nil end
  must(type(doc.stop) == 'string' or is_array(doc.stop), 'stop')
  local stops = type(doc.stop) == 'string' and array({doc.stop}) or doc.stop
  return #stops > 0 and stops or nil
end

-- The URL of an image; and its media type and data where they stand in it.
local function image_of(part)
  must(is_object(part.image_url), 'image_url')
  local url = text_of(part.image_url.url, 'image_url.url')
  local media, data = match(url, '^data:([%w/%-+._]+);base64,(.*)$')
  return url, media, data
end

-- Each tool as (function, its schema as JSON text or nil); nothing where there are none.
local function tools_of(doc, text, spans)
  local found = {}
  if not given(doc.tools) then return found end
  must(is_array(doc.tools), 'tools')
  for _, tool in ipairs(doc.tools) do
    if is_object(tool) and tool.type == 'function' then
      local inner = tool['function']
      must(is_object(inner), 'tools.function')
      if given(inner.strict) and inner.strict ~= false then cannot('tools.function.strict') end
      local span = is_object(inner.parameters) and next(inner.parameters) ~= nil and spans[inner.parameters]
      found[#found + 1] = {name = text_of(inner.name, 'tools.function.name'),
        description = given(inner.description) and inner.description ~= '' and inner.description or nil,
        schema = span and raw(sub(text, span[1], span[2])) or nil}
    else
      cannot('tools of another type')
    end
  end
  return found
end

-- Which tool has to be called: one of the words `auto`, `none`, `required` and nil; or nil, and the name of a tool.
local function choice_of(choice)
  if is_object(choice) then
    if choice.type ~= 'function' then return cannot('tool_choice.type ' .. plain(choice.type)) end
    must(is_object(choice['function']), 'tool_choice.function')
    return nil, text_of(choice['function'].name, 'tool_choice.function.name')
  end
  must(not given(choice) or choice == 'auto' or choice == 'none' or choice == 'required', 'tool_choice')
  return given(choice) and choice or nil
end

-- A call, its id, its function's name, and its arguments as JSON text of an object; nothing where it is no such call.
local function called(call)
  local inner = is_object(call) and call['function']
  if not is_object(inner) then return cannot('tool_calls of another type') end
  local arguments = given(inner.arguments) and inner.arguments ~= '' and inner.arguments or '{}'
  local written, value = json_text(text_of(arguments, 'tool_calls.function.arguments'))
  must(is_object(value), 'tool arguments that are no JSON object')
  return call, text_of(call.id, 'tool_calls.id'), text_of(inner.name, 'tool_calls.function.name'), written
end

local function calls_of(message)
  if given(message.function_call) then cannot('function_call') end
  if not given(message.tool_calls) then return {} end
  must(is_array(message.tool_calls), 'tool_calls')
  return message.tool_calls
end

-- The parts of the system prompt and the turns; neighbours of one role are one turn. `how` has speaker (the other side's
-- word for assistant), holds (where a turn has its parts), and the functions parts, result and call.
local function conversation(list, how)
  local system, out = array({}), array({})
  local function push(role, parts)
    local last = out[#out]
    if last and last.role == role then
      for _, part in ipairs(parts) do last[how.holds][#last[how.holds] + 1] = part end
    elseif #parts > 0 then
      out[#out + 1] = {role = role, [how.holds] = parts}
    end
  end
  for _, message in ipairs(list) do
    local role = message.role
    if role == 'system' or role == 'developer' then
      for _, part in ipairs(how.parts(message.content, true)) do system[#system + 1] = part end
    elseif role == 'tool' then
      push('user', array({how.result(message)}))
    elseif role == 'assistant' then
      local parts = how.parts(message.content, true)
      for _, call in ipairs(calls_of(message)) do parts[#parts + 1] = how.call(called(call)) end
      push(how.speaker, parts)
    elseif role == 'user' then
      push('user', how.parts(message.content))
    else
      cannot('role ' .. plain(role))
    end
  end
  return system, out
end
