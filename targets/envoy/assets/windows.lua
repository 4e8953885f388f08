-- The windows of a rate limit service, and how much it can be asked for at once.
local SECONDS = {second = 1, minute = 60, hour = 3600, day = 86400, week = 604800, month = 2592000}
local MOST = 1000000000 -- Envoy takes no larger hits_addend: it would leave the limit out

-- The service's windows are multiples of their length since the epoch.
local function window(per) return math.floor(os.time() / SECONDS[per]) end
