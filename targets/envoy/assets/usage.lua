-- What a provider says that a call used, in either dialect, and what that costs.
local function count(value) return type(value) == 'number' and value >= 0 and value or nil end

local function dollars(price, input, read, written, output)
  if not price then return 0 end
  read = math.min(read, input)
  written = math.min(written, input - read)
  local plain = input - read - written
  return (plain * price.input + read * price.read + written * price.write + output * price.output) / 1e6
end

-- Figures so far (or nil) and a `usage` of a reply to figures; what it does not tell is as before.
local function figures(before, usage, price)
  if not is_object(usage) then return before end
  local found = {input = count(usage.prompt_tokens), output = count(usage.completion_tokens), total = count(usage.total_tokens)}
  local plain, said = count(usage.input_tokens), count(usage.output_tokens)
  local read, written = count(usage.cache_read_input_tokens), count(usage.cache_creation_input_tokens)
  if plain or said or read or written then
    -- Anthropic counts what it read from and wrote to its cache beside the input, and an event tells what has changed.
    before = before or {plain = 0, output = 0, read = 0, written = 0}
    found = {plain = plain or before.plain or 0, output = said or before.output, read = read or before.read,
      written = written or before.written}
    found.input = found.plain + found.read + found.written
    found.total = found.input + found.output
  elseif found.input or found.output or found.total then
    local details = is_object(usage.prompt_tokens_details) and usage.prompt_tokens_details or {}
    found.read, found.written = count(details.cached_tokens) or 0, count(details.cache_write_tokens) or 0
    found.input, found.output = found.input or 0, found.output or 0
    found.total = found.total or found.input + found.output
    -- Thoughts that a provider counts in its total alone are output too.
    found.output = math.max(found.output, found.total - found.input)
  else
    return before
  end
  found.cost = dollars(price, found.input, found.read, found.written, found.output)
  return found
end

-- Figures as a text between the tiers, and back.
local function used_text(usage)
  return concat({usage.input, usage.output, usage.read, usage.written, usage.total}, ' ')
end

local function used_of(text, price)
  local input, output, read, written, total = match(text or '', '^(%S+) (%S+) (%S+) (%S+) (%S+)$')
  if not input then return nil end
  local cost = dollars(price, tonumber(input), tonumber(read), tonumber(written), tonumber(output))
  return {input = tonumber(input), output = tonumber(output), total = tonumber(total), cost = cost}
end

-- The same in a stream: a comment, which the tier of policies takes out.
local USED = ':used '
local function used_line(usage) return USED .. used_text(usage) .. '\n' end

local function note_usage(h, usage)
  local metadata = h:streamInfo():dynamicMetadata()
  metadata:set('aigw', 'input_tokens', usage.input)
  metadata:set('aigw', 'output_tokens', usage.output)
  metadata:set('aigw', 'total_tokens', usage.total)
  metadata:set('aigw', 'cost', usage.cost)
end
