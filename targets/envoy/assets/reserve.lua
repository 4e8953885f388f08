-- Step 9, with a rate limit service: what a request reserves, shown to the `ratelimit` filters behind this script. They read
-- the names of its counters and whole units: tokens, or parts of a dollar.
local function run_request(h)
  local metadata = h:streamInfo():dynamicMetadata()
  local state = metadata:get('aigw.state')
  local wanted = state and state.asked and state.asked.held
  if not wanted or #wanted == 0 then return end
  local shown, held = {}, {}
  for i, w in ipairs(wanted) do
    -- Not a unit more for what a float lacks to a whole one.
    local units = math.ceil(w.reserve * w.scale - 0.001)
    if not w.observe and (units > w.most or units > MOST) then
      metadata:set('aigw.rls', 'decided', true)
      return refuse(h, '429', 'rate_limit_error', 'request_exceeds_limit', 'The request is larger than a whole limit.')
    end
    units = math.min(units, MOST)
    shown[w.slot], shown[w.slot .. '.n'] = w.key, units
    held[i] = {slot = w.slot, key = w.key, what = w.what, stage = w.stage, scale = w.scale, sent = w.sent, per = w.per,
      window = window(w.per), reserve = units}
  end
  metadata:set('aigw.rls', 'held', shown)
  metadata:set('aigw.rls', 'reserved', held)
end
envoy_on_request = guarded(run_request)
