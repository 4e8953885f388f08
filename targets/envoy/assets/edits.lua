-- A body edited where it stands: an edit is {first byte, last byte, text}; what nothing touches keeps its bytes.
local function edited(text, edits, span)
  if #edits == 0 then return text, span and span[2] .. ',' .. span[3] end
  local out, from, shift = {}, 1, 0
  table.sort(edits, function(a, b) return a[1] < b[1] end)
  for _, edit in ipairs(edits) do
    out[#out + 1] = sub(text, from, edit[1] - 1)
    out[#out + 1] = edit[3]
    from = edit[2] + 1
    if span and edit[1] <= span[2] then shift = shift + #edit[3] - (edit[2] - edit[1] + 1) end
  end
  out[#out + 1] = sub(text, from)
  -- Where the value at `span` stands now, as `first,last`.
  return concat(out), span and (span[2] + shift) .. ',' .. (span[3] + shift)
end

-- Set a member of the root, which has another one already.
local function set_member(edits, root, doc, members, name, value)
  local span = members[doc][name]
  if span then
    edits[#edits + 1] = {span[2], span[3], value}
  else
    edits[#edits + 1] = {root[2], root[2] - 1, ',' .. quoted(name) .. ':' .. value}
  end
end

-- Put JSON texts around the items of a list.
local function surround(edits, span, empty, before, after)
  if empty then -- one edit: of two at one place nobody knows which comes first
    local both = before .. ((before ~= '' and after ~= '') and ',' or '') .. after
    if both ~= '' then edits[#edits + 1] = {span[1] + 1, span[2] - 1, both} end
    return
  end
  if before ~= '' then edits[#edits + 1] = {span[1] + 1, span[1], before .. ','} end
  if after ~= '' then edits[#edits + 1] = {span[2], span[2] - 1, ',' .. after} end
end

-- Cut a member out of an object's text, with one of the commas around it.
local function without(text, span)
  local first, last = span[1], span[3]
  local comma = match(sub(text, 1, first - 1), '()%,[ \t\r\n]*$')
  if comma then return sub(text, 1, comma - 1) .. sub(text, last + 1) end
  local _, after = find(text, '^[ \t\r\n]*,', last + 1)
  return sub(text, 1, first - 1) .. sub(text, (after or last) + 1)
end

-- A cap on the answer has two names at OpenAI, which are one parameter.
local CAPS = {max_completion_tokens = true, max_tokens = true}

-- The names of a parameter at a door, the one to set first.
local function names_of(name, caps)
  if not CAPS[name] or #caps == 0 then return {name} end
  local out = {}
  for _, cap in ipairs(caps) do
    if cap == name then table.insert(out, 1, cap) else out[#out + 1] = cap end
  end
  return out
end

-- The provider's name of the model, and the parameters of a target: set where the client does not, set always, cut.
local function with_parameters(text, name, parameters)
  local doc, spans, members = decode(text)
  local edits, now, changes, gone = {}, {}, {}, {}
  local function value(field)
    if gone[field] then return nil end
    local found = now[field]
    if found == nil then found = doc[field] end
    if found == NULL then return nil end
    return found
  end
  local function set(field, json)
    now[field], changes[field], gone[field] = decode(json), json, nil
  end
  for field, json in pairs(parameters.defaults) do
    local names, there = names_of(field, parameters.caps), false
    for _, n in ipairs(names) do there = there or value(n) ~= nil end
    if not there then set(names[1], json) end
  end
  for field, json in pairs(parameters.overrides) do
    local names = names_of(field, parameters.caps)
    set(names[1], json)
    for i = 2, #names do gone[names[i]] = true end
  end
  for field, most in pairs(parameters.maximum) do
    for _, n in ipairs(names_of(field, parameters.caps)) do
      local given = value(n)
      if type(given) == 'number' and given > tonumber(most) then set(n, most) end
    end
  end
  changes.model = quoted(name)
  for field, json in pairs(changes) do
    if not gone[field] then set_member(edits, spans[doc], doc, members, field, json) end
  end
  text = edited(text, edits)
  for field in pairs(gone) do
    doc, spans, members = decode(text)
    if members[doc][field] then text = without(text, members[doc][field]) end
  end
  return text
end

-- A reply with another name for its model.
local function renamed(text, members, doc, name)
  local span = members[doc] and members[doc].model
  if not span then return text end
  return sub(text, 1, span[2] - 1) .. quoted(name) .. sub(text, span[3] + 1)
end
