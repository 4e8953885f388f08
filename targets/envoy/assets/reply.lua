-- Answers of the gateway itself, in the shape of the API that was called, and the wrapper that turns a fault of a script into
-- a 500: without it Envoy would send the request on as if nothing had happened.
local NAMED = {['404'] = 'not_found_error', ['413'] = 'request_too_large', ['504'] = 'timeout_error'}

local function is_anthropic(door) return door == 'messages' or door == 'count' end

-- The same of a request, by its path: the route table lets no other through to a script.
local function speaks_anthropic(h)
  local path = h:headers():get(':path'):match('^[^?]*')
  return (path:find('/v1/messages$') or path:find('/v1/messages/count_tokens$')) ~= nil
end

local function error_body(kind, code, message, status, anthropic)
  if anthropic then
    return '{"type":"error","error":{"type":"' .. (NAMED[status] or kind) .. '","message":"' .. message .. '","code":"' .. code
      .. '"}}'
  end
  return '{"error":{"message":"' .. message .. '","type":"' .. kind .. '","param":null,"code":"' .. code .. '"}}'
end

local function refuse(h, status, kind, code, message, more)
  local headers = {[':status'] = status, ['content-type'] = 'application/json'}
  for name, value in pairs(more or {}) do headers[name] = value end
  h:respond(headers, error_body(kind, code, message, status, speaks_anthropic(h)))
end

local function invalid(h, status, code, message, more)
  refuse(h, status, 'invalid_request_error', code, message, more)
end

local function guarded(run)
  return function(h)
    local ok, fault = pcall(run, h)
    if ok then return end
    h:logErr('aigw: ' .. tostring(fault))
    refuse(h, '500', 'api_error', 'internal', 'The gateway failed.')
  end
end

-- A fault while a reply passes: the reply becomes a 500 with a body of our own, if it has not begun to flow.
local function guarded_reply(run)
  return function(h)
    local ok, fault = pcall(run, h)
    if ok then return end
    h:logErr('aigw: ' .. tostring(fault))
    pcall(function()
      h:headers():replace(':status', '500')
      h:headers():replace('content-type', 'application/json')
      local size = h:body(true):setBytes(error_body('api_error', 'internal', 'The gateway failed.'))
      h:headers():replace('content-length', tostring(size))
    end)
  end
end

local function put(h, text)
  local size = h:body(true):setBytes(text)
  h:headers():replace('content-length', tostring(size))
end

-- What a client is told when a provider failed and nothing is left to try.
local UPSTREAM = {'502', 'upstream_error', 'The provider failed.'}
local SAYS = {
  ['rate-limited'] = {'429', 'rate_limit_exceeded', 'The provider asks for fewer requests.', 'rate_limit_error'},
  ['auth-error'] = {'502', 'upstream_auth', 'The provider refused its credential.'},
  ['quota-exceeded'] = {'502', 'upstream_auth', 'The quota at the provider is spent.'},
  ['timeout'] = {'504', 'upstream_timeout', 'The provider did not answer in time.'},
  ['overloaded'] = UPSTREAM, ['server-error'] = UPSTREAM, ['connect-failure'] = UPSTREAM, ['bad-response'] = UPSTREAM,
}

local function tell(h, cause, anthropic)
  local says = SAYS[cause]
  if not says then return false end
  h:headers():replace(':status', says[1])
  h:headers():replace('content-type', 'application/json')
  put(h, error_body(says[4] or 'api_error', says[2], says[3], says[1], anthropic))
  return true
end

-- What a filter knows of the gateway stands at the virtual host, which is one for each script: it is read once, since converting
-- it for every request would cost more than the request.
local known
local function data_of(h)
  known = known or h:filterContext():get('data')
  return known
end

-- The caller's address, without its port.
local function address(h)
  local text = h:streamInfo():downstreamRemoteAddress() or ''
  return text:match('^%[(.*)%]:%d+$') or text:match('^(.*):%d+$') or text
end

-- Header values are plain ASCII without spaces, whatever a name is made of.
local function header_safe(text)
  return (text:gsub('[%z\1-\32%%\127-\255]', function(c) return string.format('%%%02X', c:byte()) end))
end

local function keep_only(headers, wanted)
  local gone = {}
  for name in pairs(headers) do
    if not wanted(name) then gone[#gone + 1] = name end
  end
  for _, name in ipairs(gone) do headers:remove(name) end
end
jit.off(keep_only) -- a loop of calls into Envoy is not compiled well: it takes twice as long
