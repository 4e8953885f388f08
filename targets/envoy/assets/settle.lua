-- Step 18, with a rate limit service: what is charged, or given back, beyond what was reserved. The `ratelimit` filters read
-- it when the stream is done, however it ends; so what a client that leaves has cost is kept up to date on the way.
local NONE = {input = 0, output = 0, total = 0, cost = 0}

-- What was held in a window that is over stays there: the service would settle it in the one that runs.
local function runs(w) return window(w.per) == w.window end

-- Whole units. A part of one is charged as a whole as often as it is large, so that many small calls cost what they cost.
local function units(amount, scale)
  return math.min(math.floor(amount * scale + 0.001 + 0.998 * math.random()), MOST)
end

local function tell_used(h, held, used)
  local settled = {}
  for _, w in ipairs(held or {}) do
    local amount = runs(w) and used(w)
    local more = amount and units(amount, w.scale) - w.reserve or 0
    -- An empty name is asked for by no filter.
    settled[w.slot .. (more > 0 and '.up' or '.down')] = more ~= 0 and w.key or ''
    settled[w.slot .. '.n'] = math.abs(more)
  end
  if held and #held > 0 then h:streamInfo():dynamicMetadata():set('aigw.rls', 'settle', settled) end
end

-- The true figures (by input, output, total and cost); nil where the provider told none: then what was reserved is charged.
local function settle(h, held, usage)
  tell_used(h, held, function(w) return usage and usage[w.what] end)
end

local SILENT = {role = true, type = true, id = true, stop_reason = true, finish_reason = true}
local function letters(value)
  if type(value) == 'string' then return #value end
  local sum = 0
  for key, inner in pairs(type(value) == 'table' and value or {}) do
    if not SILENT[key] then sum = sum + letters(inner) end
  end
  return sum
end

-- Count what an event says.
local function hear(asked, doc)
  local said = letters(doc.delta)
  for _, choice in ipairs(is_array(doc.choices) and doc.choices or {}) do
    if is_object(choice) then said = said + letters(choice.delta) end
  end
  asked.said = (asked.said or 0) + said
end

-- An estimate of what was sent, and of what was said so far.
local function so_far(h, held, asked, price)
  local output = math.ceil((asked.said or 0) / 4)
  tell_used(h, held, function(w)
    if w.what == 'cost' then return w.sent + (price and output * price.output / 1e6 or 0) end
    return w.sent + (w.what == 'input' and 0 or output)
  end)
end

local function run_request(h)
  local metadata = h:streamInfo():dynamicMetadata()
  local held = (metadata:get('aigw.rls') or {}).reserved
  metadata:set('aigw.rls', 'decided', true)
  if not held then return end
  metadata:set('aigw.state', 'held', held)
  so_far(h, held, {})
end
envoy_on_request = guarded(run_request)
