#!lua
-- Moves one checkpoint forward; it never moves backwards.
--
-- KEYS[1] LAST_CHECKPOINTS of a strategy  hash: series and level -> data time in s
--
-- ARGV[1] field: series and level
-- ARGV[2] time in s
-- ARGV[3] life of the hash in ms
--
-- Commands: HGET HSET PEXPIRE
--
-- Returns the time that stands afterwards (s, as text)
local stored = redis.call('HGET', KEYS[1], ARGV[1])
local standing = stored and tonumber(stored)
if standing and standing >= tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return stored
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return ARGV[2]
