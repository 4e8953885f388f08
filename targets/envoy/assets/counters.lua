-- Steps 7 and 9, first half: the counters under which a request falls, and what it reserves. Envoy hands whole numbers beyond
-- 32 bits to a script as text.
-- What a request is counted by; nothing that a client writes makes a name longer than this.
local LONGEST = 256

local function parts_of(h, limit, by, caller, model)
  if by == 'consumer' then return {caller.consumer} end
  if by == 'model' then return {model} end
  if by == 'ip' then return {address(h)} end
  if by == 'group' then return limit.scope == 'group' and {limit.name} or caller.groups end
  local name = match(by, '^header:(.*)$')
  return {name and sub(h:headers():get(name) or '', 1, LONGEST) or ''}
end

-- None where the limit does not apply to the caller.
local function counters(h, limit, caller, model)
  if not applies(limit, caller.consumer, caller.member, model) then return {} end
  local keys = {''}
  for _, by in ipairs(limit.by) do
    local longer = {}
    for _, key in ipairs(keys) do
      for _, part in ipairs(parts_of(h, limit, by, caller, model)) do
        longer[#longer + 1] = key .. header_safe(part) .. '/'
      end
    end
    keys = longer
  end
  return keys
end

local function count_of(value, least, default)
  if type(value) ~= 'number' or value < least or value ~= math.floor(value) then return default end
  return value
end

-- Return the counters of request limits, by the header in which local_ratelimit reads each, and those of tokens and cost.
local function name_counters(h, data, doc, door, size, caller, name)
  local named, held = {}, {}
  for _, limit in ipairs(data.limits) do
    for i, key in ipairs(counters(h, limit, caller, name)) do
      if limit.header then named[limit.header .. '-' .. i] = key end
      for _, kind in ipairs(door ~= 'count' and limit.amounts or {}) do
        -- Of two caps the larger, since providers differ in which one they obey.
        local cap = math.max(count_of(doc.max_completion_tokens, 0, -1), count_of(doc.max_tokens, 0, -1))
        if cap < 0 then cap = tonumber(limit.reserve) end
        local input, output = math.ceil(size / 4), count_of(doc.n, 1, 1) * cap
        if door == 'embeddings' then output = 0 end
        -- The first of them asks the most for input.
        local cost, dear = 0, data.models[name].dear or {}
        for _, price in ipairs(dear) do
          cost = math.max(cost, (input * price.input + output * price.output) / 1e6)
        end
        local reserve = ({input = input, output = output, total = input + output, cost = cost})[kind.what]
        held[#held + 1] = {counter = kind.what .. ' ' .. limit.id .. ' ' .. key, what = kind.what, most = tonumber(kind.most),
          per = limit.per, reserve = reserve, observe = limit.observe, name = limit.limit,
          key = key, slot = kind.slot and kind.slot .. i, stage = kind.stage, scale = kind.scale,
          sent = kind.what == 'cost' and input * (dear[1] and dear[1].input or 0) / 1e6
            or kind.what ~= 'output' and kind.what ~= 'cost' and input or 0}
      end
    end
  end
  return named, held
end
