-- Runs the filters of Kong's ai-prompt-decorator and ai-prompt-guard, from Kong's own source, on requests of standard input.
-- One JSON line in: {messages, decorator or false, guard or false}; one word out: pass or refuse.
package.path = os.getenv("KONG_SRC") .. "/?.lua;" .. package.path
_G._TEST = true
local rex, cjson = require "rex_pcre2", require "cjson"
ngx = {re = {find = function(text, pattern)
  local ok, compiled = pcall(rex.new, pattern)
  if not ok then return nil, nil, compiled end
  return compiled:find(text)
end}}
kong = {log = {debug = function() end, info = function() end, err = function() end}, response = {exit = function() return nil, "exit" end}}
package.loaded["kong.llm.plugin.ctx"] = {get_namespaced_accesors = function() end}
package.loaded["kong.tools.table"] = {cycle_aware_deep_copy = function(t) return t end}
package.loaded["table.new"] = function() return {} end
local decorate = require("kong.plugins.ai-prompt-decorator.filters.decorate-prompt")._execute
local guard = require("kong.plugins.ai-prompt-guard.filters.guard-prompt")._execute
for line in io.lines() do
  local case = cjson.decode(line)
  local request = {messages = case.messages}
  if case.decorator then request = decorate(request, case.decorator) end
  print((not case.guard or guard(request, case.guard)) and "pass" or "refuse")
end
