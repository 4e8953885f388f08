-- What a provider says that a call used, in either dialect, and what that costs.
local function count(value) return type(value) == 'number' and value >= 0 and value or 0 end

local function dollars(price, input, read, written, output)
  if not price then return 0 end
  local plain = math.max(input - read - written, 0)
  return (plain * price.input + read * price.read + written * price.write + output * price.output) / 1e6
end

-- Figures so far (or nil) and a `usage` of a reply to figures.
local function figures(before, usage, price)
  if not is_object(usage) then return before end
  before = before or {input = 0, output = 0, read = 0, written = 0}
  local found = {}
  if usage.prompt_tokens ~= nil then
    local details = is_object(usage.prompt_tokens_details) and usage.prompt_tokens_details or {}
    found = {input = count(usage.prompt_tokens), output = count(usage.completion_tokens),
      read = count(details.cached_tokens), written = count(details.cache_write_tokens)}
  else
    -- Anthropic counts what it read from and wrote to its cache beside the input.
    found.read = usage.cache_read_input_tokens and count(usage.cache_read_input_tokens) or before.read
    found.written = usage.cache_creation_input_tokens and count(usage.cache_creation_input_tokens) or before.written
    found.input = usage.input_tokens and count(usage.input_tokens) + found.read + found.written or before.input
    found.output = usage.output_tokens and count(usage.output_tokens) or before.output
    -- A provider of another dialect that told nothing: this one cannot leave its figures out.
    if found.input + found.output == 0 then return nil end
  end
  found.total = usage.total_tokens and count(usage.total_tokens) or found.input + found.output
  found.cost = dollars(price, found.input, found.read, found.written, found.output)
  return found
end

-- Figures as a header between the tiers, and back.
local function used_text(usage)
  return concat({usage.input, usage.output, usage.read, usage.written, usage.total}, ' ')
end

local function used_of(text, price)
  local input, output, read, written, total = match(text or '', '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  if not input then return nil end
  local cost = dollars(price, tonumber(input), tonumber(read), tonumber(written), tonumber(output))
  return {input = tonumber(input), output = tonumber(output), total = tonumber(total), cost = cost}
end

local function note_usage(h, usage)
  local metadata = h:streamInfo():dynamicMetadata()
  metadata:set('aigw', 'input_tokens', usage.input)
  metadata:set('aigw', 'output_tokens', usage.output)
  metadata:set('aigw', 'total_tokens', usage.total)
  metadata:set('aigw', 'cost', usage.cost)
end
