#!lua
-- Puts an instance under what it is found under, if it still has the expected version. What is there stays.
--
-- KEYS[1] instance  string: a line "<version> <checkpoint>", then lines of the history
-- KEYS[2] open      zset, all scores 0: "<what it is found under> <creation time, 16 digits>_<instance id>"
--
-- ARGV[1] expected version
-- then members of the set, at least one
--
-- Commands: GETRANGE ZADD
--
-- Returns "indexed" or "changed" (also when it is gone)
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1]) ~= ARGV[1] .. ' ' then
  return 'changed'
end
local rows = {}
for index = 2, #ARGV do
  rows[#rows + 1], rows[#rows + 2] = '0', ARGV[index]
end
redis.call('ZADD', KEYS[2], unpack(rows))
return 'indexed'
