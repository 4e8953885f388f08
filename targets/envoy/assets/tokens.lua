-- Steps 9 and 18, as far as one worker can: tokens are reserved when a request comes and settled with the provider's figures.
-- Counters live in this worker's memory: one worker (--concurrency 1), one replica.
local SECONDS = {second = 1, minute = 60, hour = 3600, day = 86400, week = 604800}
local used = {}

-- The name of the window that now stands in, and the seconds until it ends. Windows are fixed and aligned to UTC.
local function window(per)
  local now = os.time()
  local length = SECONDS[per]
  if length then return math.floor(now / length), length - now % length end
  local d = os.date('!*t', now)
  local days = ({31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31})[d.month]
  if d.month == 2 and (d.year % 4 == 0 and d.year % 100 ~= 0 or d.year % 400 == 0) then days = 29 end
  return d.year * 12 + d.month, (days - d.day + 1) * 86400 - now % 86400
end

local function slot(counter, per)
  local number, left = window(per)
  local found = used[counter]
  if not found or found.window ~= number then
    found = {window = number, tokens = 0}
    used[counter] = found
  end
  return found, left
end

local function reserve(h, wanted)
  for _, w in ipairs(wanted) do
    local found, left = slot(w.counter, w.per)
    if w.reserve > w.most then
      return refuse(h, '429', 'rate_limit_error', 'request_exceeds_limit', 'The request is larger than a whole limit.')
    end
    if found.tokens + w.reserve > w.most then
      refuse(h, '429', 'rate_limit_error', 'rate_limit_exceeded', 'Token limit reached.', 'retry-after', tostring(left))
      return
    end
  end
  local held = {}
  for i, w in ipairs(wanted) do
    local found = slot(w.counter, w.per)
    found.tokens = found.tokens + w.reserve
    held[i] = {counter = w.counter, per = w.per, window = found.window, reserve = w.reserve}
  end
  h:streamInfo():dynamicMetadata():set('aigw.state', 'held', held)
end

-- Put the true figure in the place of the reservation: nil where the provider told none, 0 where the call failed.
local function settle(held, tokens)
  for _, w in ipairs(held or {}) do
    local found = used[w.counter]
    if tokens and found and found.window == w.window then found.tokens = found.tokens - w.reserve + tokens end
  end
end

local function run_request(h)
  local state = h:streamInfo():dynamicMetadata():get('aigw.state')
  if state and state.asked and #state.asked.tokens > 0 then reserve(h, state.asked.tokens) end
end
envoy_on_request = guarded(run_request)
