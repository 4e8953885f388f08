-- What guards look at: the texts of a request, each with the role that says it, and the metadata from which RE2 (the rbac
-- filter) decides.
local function add(out, role, text)
  if type(text) == 'string' then out[#out + 1] = {role, text} end
end

-- A content is one text, or its parts are, joined by a newline.
local function joined(content)
  if type(content) == 'string' then return content end
  if not is_array(content) then return nil end
  local parts = {}
  for _, part in ipairs(content) do
    local inner = is_object(part) and {part.text or NULL, part.refusal or NULL, joined(part.content) or NULL} or {}
    for _, text in ipairs(inner) do
      if type(text) == 'string' then parts[#parts + 1] = text end
    end
  end
  return #parts > 0 and concat(parts, '\n') or nil
end

local function add_function(out, role, inner)
  if not is_object(inner) then return end
  for _, field in ipairs({'name', 'arguments', 'input'}) do add(out, role, inner[field]) end
end

-- The texts of one message of OpenAI's; beside its content names, refusals and tool arguments.
local function add_message(out, message)
  local role = message.role
  add(out, role, joined(message.content))
  add(out, role, message.name)
  add(out, role, message.refusal)
  for _, call in ipairs(is_array(message.tool_calls) and message.tool_calls or {}) do
    if is_object(call) then
      add_function(out, role, call['function'])
      add_function(out, role, call.custom)
    end
  end
  add_function(out, role, message.function_call)
end

-- Every text inside a block, but for what is no text.
local OPAQUE = {type = true, id = true, tool_use_id = true, signature = true, media_type = true, cache_control = true,
  file_id = true}
local function add_leaves(out, role, value)
  if not is_object(value) and not is_array(value) then return add(out, role, value) end
  local kind = is_object(value) and value.type
  for key, inner in pairs(value) do
    if is_array(value) or not OPAQUE[key] and not (key == 'data' and (kind == 'base64' or kind == 'redacted_thinking')) then
      add_leaves(out, role, inner)
    end
  end
end

-- The texts of a content of Anthropic's: its text blocks as one, and whatever else its blocks say; results say it as a tool.
local function add_blocks(out, role, content)
  if type(content) == 'string' then return add(out, role, content) end
  if not is_array(content) then return end
  local said = {}
  for _, block in ipairs(content) do
    if is_object(block) and type(block.text) == 'string' then said[#said + 1] = block.text end
  end
  if #said > 0 then add(out, role, concat(said, '\n')) end
  for _, block in ipairs(content) do
    if is_object(block) and block.type == 'tool_result' then
      add_blocks(out, 'tool', block.content)
    elseif is_object(block) then
      if is_object(block.input) then add(out, role, encode(block.input)) end
      for key, inner in pairs(block) do
        if key ~= 'text' and not OPAQUE[key] and not (key == 'data' and block.type == 'redacted_thinking') then
          add_leaves(out, role, inner)
        end
      end
    end
  end
end

local OUTSIDE = {instructions = 'system', system = 'system', input = 'user', prompt = 'user'}

-- The texts of each turn, and those that stand in no message. What embeddings are made of is what a user says.
local function texts_of(door, doc)
  local turns, beside = {}, {}
  if door == 'embeddings' then
    for i, text in ipairs(is_array(doc.input) and doc.input or {doc.input}) do
      turns[i] = {}
      add(turns[i], 'user', text)
    end
    return turns, beside
  end
  local anthropic = is_anthropic(door)
  for i, message in ipairs(doc.messages) do
    turns[i] = {}
    if anthropic then add_blocks(turns[i], message.role, message.content) else add_message(turns[i], message) end
  end
  for field, role in pairs(OUTSIDE) do
    if anthropic and field == 'system' then add_blocks(beside, role, doc.system) else add(beside, role, joined(doc[field])) end
  end
  return turns, beside
end

local function denied_texts(guard, turns, beside)
  local out = {}
  local function look(list)
    for _, said in ipairs(list) do
      if guard.roles == nil or guard.roles[said[1]] == true then out[#out + 1] = said[2] end
    end
  end
  for i = guard.last and #turns or 1, #turns do look(turns[i]) end
  if not guard.last then look(beside) end
  return out
end

-- Each text of a user in scope gets a slot of its own, since a list matcher can say "one of", but not "every one".
local function allowed_slots(guard, turns)
  local slots, count = {refuse = false}, 0
  for i = guard.last and #turns or 1, #turns do
    for _, said in ipairs(turns[i]) do
      if said[1] == 'user' then
        if count >= guard.slots then slots.refuse = true else slots['m' .. count] = said[2] end
        count = count + 1
      end
    end
  end
  if count == 0 then slots.refuse = true end
  return slots
end

local function applies(rule, consumer, member, model)
  if rule.scope == 'gateway' then return true end
  if rule.scope == 'model' then return rule.name == model end
  if rule.scope == 'group' then return member[rule.name] == true end
  return rule.name == consumer
end

local function show_to_guards(metadata, guards, door, doc, consumer, member, model)
  local turns, beside = {}, {}
  if #guards > 0 then turns, beside = texts_of(door, doc) end
  for _, guard in ipairs(guards) do
    if applies(guard, consumer, member, model) then
      if guard.deny then metadata:set('aigw.guard', 'deny' .. guard.id, denied_texts(guard, turns, beside)) end
      if guard.allow then metadata:set('aigw.guard', 'allow' .. guard.id, allowed_slots(guard, turns)) end
    end
  end
end
