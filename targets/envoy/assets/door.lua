-- Step 0: the route table knows hosts and paths; what has no door is 404, what has one but another method is 405.
function envoy_on_request(h)
  local context = h:filterContext()
  local method = context and context:get('method')
  if not method then return invalid(h, '404', 'not_found', 'There is no such endpoint.') end
  local headers = h:headers()
  headers:replace('x-aigw-door', context:get('door'))
  if headers:get(':method') ~= method then
    local asks = headers:get('origin') and headers:get('access-control-request-method')
    if context:get('cors') and headers:get(':method') == 'OPTIONS' and asks then
      -- The cors filter answers only the origins that may call; the others are told nothing.
      return h:respond({[':status'] = '204', vary = 'origin'}, '')
    end
    refuse(h, '405', 'invalid_request_error', 'method_not_allowed', 'This endpoint takes another method.', {allow = method})
  end
end
