-- Steps 4 to 8 and 11: read the body once, find the model, hold access, name the counters, show the texts to the guards,
-- edit the body by span, and choose the model's route (Envoy finds no route without x-forwarded-proto).
local KEPT = {[':method'] = true, [':path'] = true, [':authority'] = true, [':scheme'] = true, ['content-type'] = true,
  ['content-length'] = true, accept = true, traceparent = true, tracestate = true, ['idempotency-key'] = true,
  ['x-request-id'] = true, ['x-forwarded-proto'] = true}
local function kept(name) return KEPT[name] or sub(name, 1, 7) == 'openai-' or sub(name, 1, 10) == 'anthropic-' end

local function hit(who, caller)
  if not who then return false end
  for _, name in ipairs(who.consumers) do if name == caller.consumer then return true end end
  for _, name in ipairs(who.groups) do if caller.member[name] then return true end end
  return false
end

local function may_call(model, caller)
  if hit(model.deny, caller) then return false end
  return not model.allow or hit(model.allow, caller)
end

-- Envoy hands whole numbers beyond 32 bits to a script as text.
local function past(second) return second and os.time() >= tonumber(second) end

-- What tells a client to move on (RFC 9745, RFC 8594), from its day on.
local function notice(model)
  local life = model and model.notice
  return life and past(life.from) and life.headers or nil
end

-- The model that a name stands for today: from its sunset on a model is what replaced it, if anything did.
local function found(data, asked)
  local name = data.aliases[asked] or asked
  for _ = 1, #data.order do
    local model = data.models[name]
    if not model or not past(model.sunset) then return name, model end
    if not model.replaced then return name, model, true end
    name = model.replaced
  end
  return name, nil
end

local function list_models(h, data, caller)
  local list = array({})
  for _, asked in ipairs(data.order) do
    -- A name past its day is not listed, also where another model answers for it.
    local model = data.models[data.aliases[asked] or asked]
    if not past(model.sunset) and may_call(model, caller) then
      list[#list + 1] = {id = asked, object = 'model', created = 0, owned_by = 'aigw'}
    end
  end
  h:respond({[':status'] = '200', ['content-type'] = 'application/json'}, encode({object = 'list', data = list}))
end

local NOBODY = {consumer = '', groups = {}, member = {}}

-- Who calls: nobody is asked, or a filter before this one found it (apart.lua), or it is found here; nil once it is refused.
local function caller_of(h, headers, who)
  if not who then return NOBODY end
  if not who.apart then return caller_by(h, headers, who) end
  local metadata, member = h:streamInfo():dynamicMetadata(), {}
  local groups = metadata:get('aigw.caller').groups or {}
  for _, name in ipairs(groups) do member[name] = true end
  return {consumer = metadata:get('aigw').consumer, groups = groups, member = member}
end

local function plain_json(headers)
  local coding, kind = headers:get('content-encoding'), headers:get('content-type')
  if coding and coding ~= '' and coding:lower() ~= 'identity' then return false end
  if kind == 'application/json' then return true end
  kind = (kind or ''):lower()
  return kind:find('^%s*application/json%s*$') or kind:find('^%s*application/json%s*;')
end

local function run(h)
  local data, headers = data_of(h), h:headers()
  local caller = caller_of(h, headers, data.who)
  if not caller then return end
  local metadata = h:streamInfo():dynamicMetadata()
  metadata:set('aigw', 'consumer', caller.consumer)
  if headers:get(':method') == 'GET' then return list_models(h, data, caller) end
  if not plain_json(headers) then
    return invalid(h, '415', 'unsupported_media_type', 'The body must be plain application/json.')
  end
  local buffer = h:body()
  local text = buffer and buffer:getBytes(0, buffer:length()) or ''
  headers, metadata = h:headers(), h:streamInfo():dynamicMetadata() -- what was fetched before a wait is dead after it
  local ok, doc, spans, members = pcall(decode, text)
  if not ok then return invalid(h, '400', 'invalid_json', 'The body is not valid JSON.') end
  if not is_object(doc) or type(doc.model) ~= 'string' or doc.model == '' then
    return invalid(h, '400', 'invalid_request', 'The body must be an object whose model is a string.')
  end
  local path = match(headers:get(':path'), '^[^?]*')
  local door = data.paths[path]
  if not well_formed(door, text, doc, spans, members) then
    return invalid(h, '400', 'invalid_request', 'A field of the body has a wrong type or value.')
  end
  local name, model, gone = found(data, doc.model)
  if not model then return invalid(h, '404', 'model_not_found', 'The model does not exist.') end
  local told = notice(data.models[data.aliases[doc.model] or doc.model])
  if gone then return invalid(h, '404', 'model_retired', 'The model is no longer there.', told) end
  if not may_call(model, caller) then
    return refuse(h, '403', 'permission_error', 'model_not_allowed', 'You may not use this model.')
  end
  if not model.doors[door] then
    return invalid(h, '400', 'model_not_supported', 'The model cannot be called at this endpoint.')
  end
  local named, held = name_counters(h, data, doc, door, #text, caller, name)
  keep_only(headers, kept)
  for header, key in pairs(named) do headers:replace(header, key) end
  show_to_guards(metadata, data.guards, door, doc, caller.consumer, caller.member, name)
  local edits, asked = edits_of(door, text, doc, spans, members, data.decorators, caller.consumer, caller.member, name)
  local changed, place = edited(text, edits, members[doc].model)
  if #edits > 0 then headers:replace('content-length', tostring(buffer:setBytes(changed))) end
  metadata:set('aigw', 'model', name)
  metadata:set('aigw.state', 'asked', {name = name, model = doc.model, stream = doc.stream == true, usage = asked,
    held = #held > 0 and held or nil, door = door, told = told, named = data.shared and named or nil})
  headers:replace(':path', path)
  headers:replace('x-aigw-door', door)
  local streams = doc.stream == true and door ~= 'embeddings' and door ~= 'count'
  headers:replace('x-aigw-call', place .. (streams and ' s ' or ' - ') .. #text .. ' ' .. header_safe(doc.model))
  headers:replace('x-aigw-route', model.route)
  h:clearRouteCache()
end
envoy_on_request = guarded(run)
