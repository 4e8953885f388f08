-- What translations from the client's dialect (OpenAI's) share: what cannot be carried is named, turns, and a stream's events.
local dialect = {}

local function given(value) return value ~= nil and value ~= NULL end
local function cannot(what) error({cannot = what}, 0) end
local function plain(word) return type(word) == 'string' and match(word, '^[%w_.-]+$') or '?' end

local function fields(names)
  local set = {}
  for name in names:gmatch('%S+') do set[name] = true end
  return set
end

-- Refuse the first field that is not carried; `idle` are those that mean nothing at these values.
local function carries(doc, carried, idle)
  for field, value in pairs(doc) do
    local empty = type(value) == 'table' and next(value) == nil
    if not carried[field] and given(value) and idle[field] ~= value and not (empty and idle[field] == 'empty')
      and not (field == 'response_format' and is_object(value) and value.type == 'text') then
      cannot(match(field, '^[%w_.-]+$') or 'an unknown field')
    end
  end
end

-- A call's function, and its arguments as JSON text of an object.
local function called(call)
  local inner = is_object(call) and call['function']
  if not is_object(inner) then cannot('tool_calls of another type') end
  local arguments = inner.arguments
  if type(arguments) ~= 'string' or arguments == '' then arguments = '{}' end
  local ok, doc = pcall(decode, arguments)
  if not ok or not is_object(doc) then cannot('tool arguments that are no JSON object') end
  return inner, arguments
end

local function calls_of(message)
  if given(message.function_call) then cannot('function_call') end
  if not given(message.tool_calls) then return {} end
  if not is_array(message.tool_calls) then cannot('tool_calls') end
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
      for _, call in ipairs(calls_of(message)) do parts[#parts + 1] = how.call(call) end
      push(how.speaker, parts)
    elseif role == 'user' then
      push('user', how.parts(message.content))
    else
      cannot('role ' .. plain(role))
    end
  end
  return system, out
end

-- translated(text, drop, embeds) -> the other dialect's body and whether it asks for a stream; or nil and what it cannot carry.
local function request_by(translated)
  return function(text, drop, embeds)
    local ok, result, streams = pcall(translated, text, drop, embeds)
    if ok then return result, streams end
    if type(result) == 'table' and result.cannot then return nil, result.cannot end
    error(result, 0)
  end
end

local FAULT = encode({error = {message = 'The provider failed.', type = 'api_error', param = NULL, code = 'upstream_error'}})

-- Pass a stream on, each event translated: chunks(state, doc, out, text, spans) appends texts; finish(state, out) is called
-- when the bytes end.
local function stream_by(start, chunks, finish)
  return function(h)
    local state, rest, last = start(), '', nil
    for part in h:bodyChunks() do
      local out, from = {}, 1
      rest, last = rest .. part:getBytes(0, part:length()), part
      while true do
        local stop = find(rest, '\n', from, true)
        if not stop then break end
        local json = match(sub(rest, from, stop), '^data: ?({.*})%s*$')
        from = stop + 1
        local ok, doc, spans = pcall(decode, json or '')
        if json and ok and is_object(doc) and not state.broken and not pcall(chunks, state, doc, out, json, spans) then
          state.broken = true
          out[#out + 1] = 'data: ' .. FAULT .. '\n\n'
        end
      end
      rest = sub(rest, from)
      state.written = concat(out)
      part:setBytes(state.written)
    end
    -- The last chunk is still at hand when its bytes were the end.
    local out = {}
    if last and finish and not state.broken then finish(state, out) end
    if #out > 0 then last:setBytes(state.written .. concat(out)) end
  end
end
