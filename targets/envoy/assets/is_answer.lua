-- Whether what a provider says is an answer at all, where it speaks the client's dialect and is passed on as it is.
local function all_objects(list, field)
  if not is_array(list) then return false end
  for _, item in ipairs(list) do
    if not is_object(item) or field and item[field] == nil then return false end
  end
  return true
end

local function is_answer(door, doc)
  if door == 'count' then return type(doc.input_tokens) == 'number' end
  if door == 'embeddings' then return all_objects(doc.data, 'embedding') end
  if door == 'messages' then return all_objects(doc.content) end
  if not all_objects(doc.choices) then return false end
  for _, choice in ipairs(doc.choices) do
    local said = choice.message
    if said ~= nil and said ~= NULL then
      if not is_object(said) then return false end
      local calls = said.tool_calls
      if calls ~= nil and calls ~= NULL and not all_objects(calls) then return false end
    end
  end
  return true
end
