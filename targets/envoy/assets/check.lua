-- Step 4: whether the fields that the gateway itself reads have their type: a provider must not take for a number what is none
-- here. A field that is absent or null is good.
local function present(value) return value ~= nil and value ~= NULL end

local function is_text(value) return type(value) == 'string' end

-- A whole number over 0, as it is written: 5.0 is none.
local function positive(text, doc, members, field)
  if not present(doc[field]) then return true end
  local span = members[doc][field]
  return type(doc[field]) == 'number' and doc[field] > 0 and find(sub(text, span[2], span[3]), '^%d+$') ~= nil
end

local function flag(value) return not present(value) or type(value) == 'boolean' end

-- A text, or a list of objects whose `text`, if there is one, is a text.
local function good_content(content)
  if is_text(content) then return true end
  if not is_array(content) then return false end
  for _, part in ipairs(content) do
    if not is_object(part) or present(part.text) and not is_text(part.text) then return false end
  end
  return true
end

local function good_messages(messages, needed)
  if not is_array(messages) or #messages == 0 then return false end
  for _, message in ipairs(messages) do
    if not is_object(message) or not is_text(message.role) then return false end
    if (needed or present(message.content)) and not good_content(message.content) then return false end
  end
  return true
end

local function every(list, good)
  if not is_array(list) or #list == 0 then return false end
  for _, item in ipairs(list) do
    if not good(item) then return false end
  end
  return true
end

local function is_token(value) return type(value) == 'number' end

local function good_input(text, spans, input)
  if is_text(input) or every(input, is_text) then return true end
  local tokens = every(input, is_token) or every(input, function(inner) return every(inner, is_token) end)
  return tokens and not find(sub(text, spans[input][1], spans[input][2]), '[.eE]')
end

local function well_formed(door, text, doc, spans, members)
  local function whole(field) return positive(text, doc, members, field) end
  if door == 'embeddings' then
    local form = doc.encoding_format
    return good_input(text, spans, doc.input) and whole('dimensions') and (not present(form) or form == 'float' or form == 'base64')
  end
  if not flag(doc.stream) or not whole('max_tokens') then return false end
  if is_anthropic(door) then
    return good_messages(doc.messages, true) and (not present(doc.system) or good_content(doc.system))
  end
  return good_messages(doc.messages, false) and whole('max_completion_tokens') and whole('n')
    and (not present(doc.stream_options) or is_object(doc.stream_options))
end
