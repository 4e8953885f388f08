-- What all translations share: what cannot be carried is named, and a stream is read and written event by event.
local dialect = {}

local function given(value) return value ~= nil and value ~= NULL end

-- Whether what cannot be carried is left out; no translation waits for anything, so that one is done before the next begins.
local dropping = false
local function cannot(what)
  if not dropping then error({code = 'unsupported_by_provider', what = what}, 0) end
end

-- What has a place in the other dialect, but no meaning there or anywhere.
local function must(fits, what)
  if not fits then error({code = 'invalid_request', what = what}, 0) end
end

local function text_of(value, what)
  must(type(value) == 'string', what)
  return value
end

-- JSON that somebody wrote into a text, without the keys that stand twice, of which the last counts; and what it says. Nothing
-- where it is no JSON.
local function json_text(text)
  local doubles = {}
  local ok, value = pcall(decode, text, doubles)
  if not ok then return nil end
  if #doubles == 0 then return text, value end
  table.sort(doubles, function(a, b) return a[1] < b[1] end)
  local out, from = {}, 1
  for _, span in ipairs(doubles) do
    if span[1] >= from then -- or it stands in another one
      out[#out + 1] = sub(text, from, span[1] - 1)
      from = match(text, '^[ \t\r\n]*,()', span[3] + 1)
    end
  end
  return concat(out) .. sub(text, from), value
end

local function plain(word) return type(word) == 'string' and match(word, '^[%w_.-]+$') or '?' end

local function fields(names)
  local set = {}
  for name in names:gmatch('%S+') do set[name] = true end
  return set
end

-- A field of a body as it is written, so that a number keeps its digits; nil where nothing stands there.
local function written_by(text, doc, members)
  return function(field)
    local span = given(doc[field]) and members[doc][field]
    return span and raw(sub(text, span[2], span[3])) or nil
  end
end

-- translated(text, data of the route) -> the other dialect's body; or nil, the code of a refusal, and what is wrong.
local function request_by(translated)
  return function(text, drop, data)
    dropping = drop
    local ok, result = pcall(translated, text, data)
    if ok then return result end
    if type(result) == 'table' and result.code then return nil, result.code, result.what end
    error(result, 0)
  end
end

-- Why a stream cannot go on; the tier above tells it in the client's words.
local function fault_event(fault)
  local kind = type(fault) == 'table' and fault.kind
  return 'data: ' .. encode({error = {message = 'The provider failed.', type = type(kind) == 'string' and kind or 'api_error',
    param = NULL, code = 'upstream_error'}}) .. '\n\n'
end

-- One event: its data is an object, or the word [DONE] where a dialect has it. Whether nothing comes after it.
local function event_by(how, state, json, out)
  if json == '[DONE]' and how.done then
    how.done(state, out)
    return true
  end
  local doc, spans = decode(json)
  if not is_object(doc) then error('an event is no object', 0) end
  how.chunk(state, doc, out, json, spans)
end

-- Pass a stream on, each event translated. `how` has start() -> state, chunk(state, doc, out, text, spans), which appends texts,
-- done(state, out) for [DONE], and finish(state, out) for when the bytes end.
local function stream_by(how)
  return function(h)
    local state, rest, last, over, written = how.start(), '', nil, false, ''
    local function lines(out)
      local from = 1
      while not over do
        local stop = find(rest, '\n', from, true)
        if not stop then break end
        local json = match(sub(rest, from, stop), '^data: ?(.-)%s*$')
        from = stop + 1
        if json and json ~= '' then
          local ok, ended = pcall(event_by, how, state, json, out)
          if not ok then out[#out + 1] = fault_event(ended) end
          over = not ok or ended
        end
      end
      rest = sub(rest, from)
    end
    for part in h:bodyChunks() do
      local out = {}
      rest, last = rest .. part:getBytes(0, part:length()), part
      lines(out)
      written = concat(out)
      part:setBytes(written)
    end
    if not last or over then return end
    -- The last chunk is still at hand when its bytes were the end: what the last line lacks, and what is left to say.
    local out = {}
    rest = rest .. '\n'
    lines(out)
    if how.finish and not over then how.finish(state, out) end
    if #out > 0 then last:setBytes(written .. concat(out)) end
  end
end
