-- The caller found in a filter of its own, and noted for those who ask for it: Envoy's rbac filter, and request.lua.
local function run(h)
  local caller = caller_by(h, h:headers(), data_of(h))
  if not caller then return end
  local metadata = h:streamInfo():dynamicMetadata()
  metadata:set('aigw', 'consumer', caller.consumer)
  metadata:set('aigw.caller', 'groups', caller.groups)
end
envoy_on_request = guarded(run)
