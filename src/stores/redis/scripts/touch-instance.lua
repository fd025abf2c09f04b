#!lua
-- Records when the alert of an instance was received again; the latest time stands.
--
-- KEYS[1] instance  string: a line "<version> <checkpoint>", then lines of the history
-- KEYS[2] touched   hash: instance id -> time in ms
--
-- ARGV[1] instance id
-- ARGV[2] time in ms
--
-- Commands: EXISTS HGET HSET
--
-- Returns "touched", or "unchanged" when there is no such instance or a later time stands
if redis.call('EXISTS', KEYS[1]) == 0 then
  return 'unchanged'
end
local touched_ms = redis.call('HGET', KEYS[2], ARGV[1])
if touched_ms and tonumber(touched_ms) >= tonumber(ARGV[2]) then
  return 'unchanged'
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 'touched'
