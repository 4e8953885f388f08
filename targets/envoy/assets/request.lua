-- Steps 4 to 8 and 11: read the body once, find the model, hold access, name the counters, show the texts to the guards,
-- edit the body by span, and choose the model's route (Envoy finds no route without x-forwarded-proto).
local function kept(name)
  return name:sub(1, 1) == ':' or name == 'content-type' or name == 'accept'
    or name == 'traceparent' or name == 'tracestate' or name == 'idempotency-key'
    or name == 'x-request-id' or name == 'x-forwarded-proto' or name:sub(1, 7) == 'openai-'
end

-- Header values are plain ASCII without spaces, whatever a name is made of.
local function header_safe(text)
  return (text:gsub('[%z\1-\32%%\127-\255]', function(c) return fmt('%%%02X', byte(c)) end))
end

local function hit(who, consumer, member)
  if not who then return false end
  for _, name in ipairs(who.consumers) do if name == consumer then return true end end
  for _, name in ipairs(who.groups) do if member[name] then return true end end
  return false
end

local function may_call(model, consumer, member)
  if hit(model.deny, consumer, member) then return false end
  return not model.allow or hit(model.allow, consumer, member)
end

local function list_models(h, data, consumer, member)
  local list = array({})
  for _, name in ipairs(data.order) do
    local model = data.models[data.aliases[name] or name]
    if may_call(model, consumer, member) then
      list[#list + 1] = {id = name, object = 'model', created = 0, owned_by = 'aigw'}
    end
  end
  h:respond({[':status'] = '200', ['content-type'] = 'application/json'}, encode({object = 'list', data = list}))
end

-- The counters of a limit that a request falls under: none where the limit does not apply to the caller.
local function counters(limit, consumer, groups, member, model)
  if not applies(limit, consumer, member, model) then return {} end
  local keys = {''}
  for _, by in ipairs(limit.by) do
    local parts = by == 'consumer' and {consumer} or by == 'model' and {model} or by == 'group' and groups or {''}
    if by == 'group' and limit.scope == 'group' then parts = {limit.name} end
    local longer = {}
    for _, key in ipairs(keys) do
      for _, part in ipairs(parts) do longer[#longer + 1] = key .. header_safe(part) .. '/' end
    end
    keys = longer
  end
  return keys
end

local function count_of(value, least, default)
  if type(value) ~= 'number' or value < least or value ~= math.floor(value) then return default end
  return value
end

local function name_counters(h, data, doc, size, consumer, groups, member, model)
  local tokens = {}
  for _, limit in ipairs(data.limits) do
    for i, key in ipairs(counters(limit, consumer, groups, member, model)) do
      if limit.header then h:headers():replace(limit.header .. '-' .. i, key) end
      if limit.tokens then
        local cap = count_of(doc.max_completion_tokens, 0, count_of(doc.max_tokens, 0, limit.reserve))
        local reserve = math.ceil(size / 4) + count_of(doc.n, 1, 1) * cap
        tokens[#tokens + 1] = {counter = limit.id .. ' ' .. key, most = limit.tokens, per = limit.per, reserve = reserve}
      end
    end
  end
  return tokens
end

-- The JSON text that decorators put before and after the client's messages: the gateway's outermost.
local function decoration(decorators, consumer, member, model)
  local before, after = {}, {}
  for _, d in ipairs(decorators) do
    if applies(d, consumer, member, model) then
      if d.prepend then before[#before + 1] = d.prepend end
      if d.append then table.insert(after, 1, d.append) end
    end
  end
  return concat(before, ','), concat(after, ',')
end

local function edits_of(doc, spans, members, before, after)
  local edits, asked = {}, false
  local first, last = spans[doc.messages][1], spans[doc.messages][2]
  if before ~= '' then edits[#edits + 1] = {first + 1, first, before .. ','} end
  if after ~= '' then edits[#edits + 1] = {last, last - 1, ',' .. after} end
  if doc.stream == true then
    local options = doc.stream_options
    asked = is_object(options) and options.include_usage == true
    if options == nil then
      local stop = spans[doc][2]
      edits[#edits + 1] = {stop, stop - 1, ',"stream_options":{"include_usage":true}'}
    elseif not asked then
      local whole, own = members[doc].stream_options, members[options]
      if is_object(options) and own.include_usage then
        edits[#edits + 1] = {own.include_usage[2], own.include_usage[3], 'true'}
      elseif is_object(options) and next(options) ~= nil then
        edits[#edits + 1] = {whole[2] + 1, whole[2], '"include_usage":true,'}
      else
        edits[#edits + 1] = {whole[2], whole[3], '{"include_usage":true}'}
      end
    end
  end
  table.sort(edits, function(a, b) return a[1] < b[1] end)
  return edits, asked
end

-- Return the edited text and where the value of `model` stands in it.
local function edited(text, edits, span)
  local out, from, shift = {}, 1, 0
  for _, edit in ipairs(edits) do
    out[#out + 1] = sub(text, from, edit[1] - 1)
    out[#out + 1] = edit[3]
    from = edit[2] + 1
    if edit[1] <= span[2] then shift = shift + #edit[3] - (edit[2] - edit[1] + 1) end
  end
  out[#out + 1] = sub(text, from)
  return concat(out), (span[2] + shift) .. ',' .. (span[3] + shift)
end

local function well_formed(doc)
  if not is_array(doc.messages) or #doc.messages == 0 then return false end
  for _, message in ipairs(doc.messages) do
    if not is_object(message) then return false end
  end
  local stream, options = doc.stream, doc.stream_options
  return (stream == nil or stream == NULL or type(stream) == 'boolean')
    and (options == nil or options == NULL or is_object(options))
end

local function run(h)
  local data, headers = data_of(h), h:headers()
  local consumer, member = headers:get('x-aigw-consumer') or '', {}
  local groups = data.groups[consumer] or {}
  for _, name in ipairs(groups) do member[name] = true end
  if headers:get(':method') == 'GET' then return list_models(h, data, consumer, member) end
  local coding, kind = headers:get('content-encoding'), headers:get('content-type') or ''
  if coding and coding:lower() ~= 'identity' or not kind:lower():find('^%s*application/json%s*$')
    and not kind:lower():find('^%s*application/json%s*;') then
    return invalid(h, '415', 'unsupported_media_type', 'The body must be plain application/json.')
  end
  local buffer = h:body()
  local text = buffer and buffer:getBytes(0, buffer:length()) or ''
  headers = h:headers() -- what was fetched before a wait is dead after it
  local ok, doc, spans, members = pcall(decode, text)
  if not ok then return invalid(h, '400', 'invalid_json', 'The body is not valid JSON.') end
  if not is_object(doc) or type(doc.model) ~= 'string' or doc.model == '' then
    return invalid(h, '400', 'invalid_request', 'The body must be an object whose model is a string.')
  end
  if not well_formed(doc) then
    return invalid(h, '400', 'invalid_request', 'messages must be a list of messages, stream a boolean.')
  end
  local name = data.aliases[doc.model] or doc.model
  local model = data.models[name]
  if not model then return invalid(h, '404', 'model_not_found', 'The model does not exist.') end
  if not may_call(model, consumer, member) then
    return refuse(h, '403', 'permission_error', 'model_not_allowed', 'You may not use this model.')
  end
  keep_only(headers, kept)
  local tokens = name_counters(h, data, doc, #text, consumer, groups, member, name)
  show_to_guards(h, data.guards, doc, consumer, member, name)
  local before, after = decoration(data.decorators, consumer, member, name)
  local edits, asked = edits_of(doc, spans, members, before, after)
  local changed, place = edited(text, edits, members[doc].model)
  if #edits > 0 then buffer:setBytes(changed) end
  headers:replace('content-length', tostring(#changed))
  local metadata = h:streamInfo():dynamicMetadata()
  metadata:set('aigw', 'consumer', consumer)
  metadata:set('aigw', 'model', name)
  metadata:set('aigw.state', 'asked', {model = doc.model, stream = doc.stream == true, usage = asked, tokens = tokens})
  headers:replace(':path', match(headers:get(':path'), '^[^?]*'))
  headers:replace('x-aigw-edit', place)
  headers:replace('x-aigw-asked', header_safe(doc.model))
  headers:replace('x-aigw-route', model.route)
  h:clearRouteCache()
end
envoy_on_request = guarded(run)
