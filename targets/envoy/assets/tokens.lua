-- Steps 9 and 18, as far as one worker can: tokens and cost are reserved when a request comes and settled with the
-- provider's figures.
-- Counters live in this worker's memory: one worker (--concurrency 1), one replica.
local SECONDS = {second = 1, minute = 60, hour = 3600, day = 86400, week = 604800}
local MONDAY = 4 * 86400 -- the first one after the epoch, a Thursday
local used = {}

-- The name of the window that now stands in, and the seconds until it ends. Windows are fixed and aligned to UTC.
local function window(per)
  local now = os.time()
  local length = SECONDS[per]
  local since = per == 'week' and now - MONDAY or now
  if length then return math.floor(since / length), length - since % length end
  local d = os.date('!*t', now)
  local days = ({31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31})[d.month]
  if d.month == 2 and (d.year % 4 == 0 and d.year % 100 ~= 0 or d.year % 400 == 0) then days = 29 end
  return d.year * 12 + d.month, (days - d.day + 1) * 86400 - now % 86400
end

local function slot(counter, per)
  local number, left = window(per)
  local found = used[counter]
  if not found or found.window ~= number then
    found = {window = number, used = 0}
    used[counter] = found
  end
  return found, left
end

local function reserve(h, wanted)
  local exceeded = {}
  for _, w in ipairs(wanted) do
    local found, left = slot(w.counter, w.per)
    local over = found.used + w.reserve > w.most
    if over and w.observe then
      exceeded[#exceeded + 1] = w.name
    elseif w.reserve > w.most then
      return refuse(h, '429', 'rate_limit_error', 'request_exceeds_limit', 'The request is larger than a whole limit.')
    elseif over then
      local wait = {['retry-after'] = tostring(left)}
      return refuse(h, '429', 'rate_limit_error', 'rate_limit_exceeded', 'A limit of tokens or cost is reached.', wait)
    end
  end
  local held, metadata = {}, h:streamInfo():dynamicMetadata()
  for i, w in ipairs(wanted) do
    local found = slot(w.counter, w.per)
    found.used = found.used + w.reserve
    held[i] = {counter = w.counter, what = w.what, window = found.window, reserve = w.reserve}
  end
  metadata:set('aigw.state', 'held', held)
  if #exceeded > 0 then metadata:set('aigw', 'exceeded', concat(exceeded, ',')) end
end

-- Put the true figures (by input, output, total and cost) in the place of what was reserved: nil where the provider told
-- none, all 0 where the call failed.
local NONE = {input = 0, output = 0, total = 0, cost = 0}
local function settle(_, held, usage)
  for _, w in ipairs(held or {}) do
    local found = used[w.counter]
    if usage and found and found.window == w.window then found.used = found.used - w.reserve + usage[w.what] end
  end
end

-- A worker's memory is not told of a client that leaves: what was reserved then stays until the window ends.
local function hear() end
local function so_far() end

local function run_request(h)
  local state = h:streamInfo():dynamicMetadata():get('aigw.state')
  if state and state.asked and state.asked.held then reserve(h, state.asked.held) end
end
envoy_on_request = guarded(run_request)
