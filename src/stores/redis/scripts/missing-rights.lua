#!lua flags=no-writes
-- Which of some commands the user may not run.
--
-- KEYS[1] a key of the namespace, not read
--
-- ARGV[1] and further: names of commands
--
-- Commands:
--
-- Returns those that are refused
local missing = {}
for _, name in ipairs(ARGV) do
  -- The number of keys of an EVAL must stand there: a server that looks for it among too few arguments crashes (7.0).
  local is_eval = string.find(name, '^EVAL')
  if not (is_eval and redis.acl_check_cmd(name, '', '1', KEYS[1]) or not is_eval and redis.acl_check_cmd(name, KEYS[1])) then
    missing[#missing + 1] = name
  end
end
return missing
