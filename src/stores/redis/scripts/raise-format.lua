#!lua
-- Raises the format of a namespace; it never falls.
--
-- KEYS[1] meta of the namespace  hash: mode, partitions, highestTimeMs, format (missing: 1)
--
-- ARGV[1] format
--
-- Commands: HMGET HSET
--
-- Returns the format afterwards (as text); false: there is no such namespace any longer
local mode, format = unpack(redis.call('HMGET', KEYS[1], 'mode', 'format'))
if not mode then
  return false
end
if format and tonumber(format) >= tonumber(ARGV[1]) then
  return format
end
redis.call('HSET', KEYS[1], 'format', ARGV[1])
return ARGV[1]
