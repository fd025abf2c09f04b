#!lua
-- Raises the highest time that a namespace has seen; it never falls.
--
-- KEYS[1] meta of the namespace  hash: mode, partitions, highestTimeMs
--
-- ARGV[1] time in ms
--
-- Commands: HMGET HSET
--
-- Returns the highest time (ms, as text); false: there is no such namespace any longer
local mode, highest_ms = unpack(redis.call('HMGET', KEYS[1], 'mode', 'highestTimeMs'))
if not mode then
  return false
end
if highest_ms and tonumber(highest_ms) >= tonumber(ARGV[1]) then
  return highest_ms
end
redis.call('HSET', KEYS[1], 'highestTimeMs', ARGV[1])
return ARGV[1]
