-- JSON text to Lua values and back. Strict: RFC 8259, UTF-8, no duplicate key after unescaping, no lone surrogate.
-- Every table remembers the span it was read from, so that bodies are edited in place and numbers keep their digits.
local find, match, sub, byte, char, fmt, concat =
  string.find, string.match, string.sub, string.byte, string.char, string.format, table.concat
local NULL, ARRAY, RAW, MOST_DEEP = {}, {}, {}, 256
local function array(t) return setmetatable(t, ARRAY) end
local function is_array(t) return getmetatable(t) == ARRAY end
local function is_object(t) return type(t) == 'table' and t ~= NULL and getmetatable(t) ~= ARRAY end
local function raw(text) return setmetatable({text}, RAW) end
local function tail(x) return x ~= nil and x >= 0x80 and x <= 0xBF end

-- The first byte from there on that is not between two others. A loop is compiled; a pattern takes ten times as long.
local function outside(s, from, low, high)
  for i = from, #s do
    local c = byte(s, i)
    if c < low or c > high then return i end
  end
  return #s + 1
end

local function is_utf8(s)
  local i = outside(s, 1, 0, 127)
  while i <= #s do
    local a, b, c, d = byte(s, i, i + 3)
    local n
    if a >= 0xC2 and a <= 0xDF and tail(b) then n = 2
    elseif a >= 0xE0 and a <= 0xEF and tail(b) and tail(c) then
      n = (a == 0xE0 and b < 0xA0 or a == 0xED and b > 0x9F) and 0 or 3
    elseif a >= 0xF0 and a <= 0xF4 and tail(b) and tail(c) and tail(d) then
      n = (a == 0xF0 and b < 0x90 or a == 0xF4 and b > 0x8F) and 0 or 4
    end
    if not n or n == 0 then return false end
    i = outside(s, i + n, 0, 127)
  end
  return true
end

local function utf8_char(c)
  local floor = math.floor
  if c < 0x80 then return char(c) end
  if c < 0x800 then return char(0xC0 + floor(c / 64), 0x80 + c % 64) end
  if c < 0x10000 then return char(0xE0 + floor(c / 4096), 0x80 + floor(c / 64) % 64, 0x80 + c % 64) end
  return char(0xF0 + floor(c / 262144), 0x80 + floor(c / 4096) % 64, 0x80 + floor(c / 64) % 64, 0x80 + c % 64)
end

local UNESCAPED = {[34] = '"', [92] = '\\', [47] = '/', [98] = '\b', [102] = '\f', [110] = '\n', [114] = '\r', [116] = '\t'}
-- What is being read. Functions that are made once are compiled; reading never waits, so that there is one at a time.
local s, spans, members, escape, blank, value, twice

local function skip(i)
  local c = byte(s, i)
  if c and c > 32 then return i end
  return find(s, '[^ \t\r\n]', i) or error('the text ends too early', 0)
end

local function escaped(from, k)
  local out = {}
  while k do
    local c = byte(s, k)
    out[#out + 1] = sub(s, from, k - 1)
    if c == 34 then return concat(out), k + 1 end
    if c ~= 92 then error('a control character in a string', 0) end
    local e = byte(s, k + 1)
    if e == 117 then
      local code = tonumber(match(s, '^%x%x%x%x', k + 2) or error('a bad \\u', 0), 16)
      from = k + 6
      if code >= 0xD800 and code <= 0xDBFF then
        local low = match(s, '^\\u([dD][c-fC-F]%x%x)', from) or error('a lone surrogate', 0)
        code, from = 0x10000 + (code - 0xD800) * 1024 + tonumber(low, 16) - 0xDC00, from + 6
      end
      if code >= 0xDC00 and code <= 0xDFFF then error('a lone surrogate', 0) end
      out[#out + 1] = utf8_char(code)
    else
      out[#out + 1] = UNESCAPED[e] or error('a bad escape', 0)
      from = k + 2
    end
    k = find(s, '["\\%z\1-\31]', from)
  end
  error('a string does not end', 0)
end

-- Where the next backslash and the next control character are is looked for once, not for each string.
local function text(i)
  local from = i + 1
  local k = find(s, '"', from, true) or error('a string does not end', 0)
  if escape < from then escape = find(s, '\\', from, true) or #s + 1 end
  if blank < from then blank = outside(s, from, 32, 255) end
  if escape < k or blank < k then return escaped(from, escape < blank and escape or blank) end
  return sub(s, from, k - 1), k + 1
end

local function number(i)
  local _, z = find(s, '^-?[1-9]%d*', i)
  z = z or (match(s, '^-?0()', i) or error('no value', 0)) - 1
  local _, f = find(s, '^%.%d+', z + 1)
  z = f or z
  local _, e = find(s, '^[eE][+-]?%d+', z + 1)
  -- LuaJIT reads no number at all where an exponent has very many digits.
  local n = tonumber(sub(s, i, e or z)) or sub(s, z + 2, z + 2) == '-' and 0
  if not n or n == math.huge or n == -math.huge then error('a number is too large', 0) end
  return n, (e or z) + 1
end

local function object(start, depth)
  local o, own, i = {}, (depth <= 2 or twice) and {} or nil, skip(start + 1)
  if byte(s, i) ~= 125 then
    while true do
      if byte(s, i) ~= 34 then error('a key is no string', 0) end
      local key, after = text(i)
      if o[key] ~= nil then (twice or error('a duplicate key', 0))[#twice + 1] = own[key] end
      local colon = skip(after)
      if byte(s, colon) ~= 58 then error('no colon after a key', 0) end
      local at, first = i, skip(colon + 1)
      o[key], i = value(first, depth + 1)
      if own then own[key] = {at, first, i - 1} end
      i = skip(i)
      local c = byte(s, i)
      if c == 125 then break end
      if c ~= 44 then error('no comma in an object', 0) end
      i = skip(i + 1)
    end
  end
  spans[o], members[o] = {start, i}, own
  return o, i + 1
end

local function list(start, depth)
  local l, n, i = array({}), 0, skip(start + 1)
  if byte(s, i) ~= 93 then
    while true do
      n = n + 1
      l[n], i = value(i, depth + 1)
      i = skip(i)
      local c = byte(s, i)
      if c == 93 then break end
      if c ~= 44 then error('no comma in a list', 0) end
      i = skip(i + 1)
    end
  end
  spans[l] = {start, i}
  return l, i + 1
end

value = function(i, depth)
  if depth > MOST_DEEP then error('nested too deep', 0) end
  local c = byte(s, i)
  if c == 34 then return text(i) end
  if c == 123 then return object(i, depth) end
  if c == 91 then return list(i, depth) end
  if c == 116 and sub(s, i, i + 3) == 'true' then return true, i + 4 end
  if c == 102 and sub(s, i, i + 4) == 'false' then return false, i + 5 end
  if c == 110 and sub(s, i, i + 3) == 'null' then return NULL, i + 4 end
  return number(i)
end

local function read()
  if not is_utf8(s) then error('not UTF-8', 0) end
  local found, i = value(skip(1), 1)
  if find(s, '[^ \t\r\n]', i) then error('more text after the value', 0) end
  return found
end

-- decode(text) -> value, spans, members. spans[table] = {first, last byte}; members[object][key] = {key first, value first,
-- value last} for the root and the objects right below it, or for all with a list `doubles`: then of keys that stand twice the
-- last counts, and the others' places are added to the list. Raises an error on anything that is not JSON.
local function decode(whole, doubles)
  s, spans, members, escape, blank, twice = whole, {}, {}, 0, 0, doubles
  local places, own = spans, members
  local ok, found = pcall(read)
  s, spans, members, twice = nil, nil, nil, nil -- nothing of a body stays
  if not ok then error(found, 0) end
  return found, places, own
end

local SHORT = {['"'] = '\\"', ['\\'] = '\\\\', ['\n'] = '\\n', ['\t'] = '\\t', ['\r'] = '\\r'}
local function quoted(s)
  return '"' .. s:gsub('[%z\1-\31"\\]', function(c) return SHORT[c] or fmt('\\u%04x', byte(c)) end) .. '"'
end

local function encode(v)
  local kind = type(v)
  if v == NULL then return 'null' end
  if kind == 'string' then return quoted(v) end
  if kind == 'boolean' then return tostring(v) end
  if kind == 'number' then
    local short = fmt('%.14g', v)
    return tonumber(short) == v and short or fmt('%.17g', v)
  end
  if getmetatable(v) == RAW then return v[1] end
  local out = {}
  if is_array(v) then
    for i = 1, #v do out[i] = encode(v[i]) end
    return '[' .. concat(out, ',') .. ']'
  end
  for key in pairs(v) do out[#out + 1] = key end
  table.sort(out)
  for i, key in ipairs(out) do out[i] = quoted(key) .. ':' .. encode(v[key]) end
  return '{' .. concat(out, ',') .. '}'
end
