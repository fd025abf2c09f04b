#!lua flags=no-writes
-- Counts what is found under one text: the ranks of its first and last member, so the number costs no more than they.
--
-- KEYS[1] open      zset, all scores 0: "<what it is found under> <creation time, 16 digits>_<instance id>"
--
-- ARGV[1] where the members of that text begin, ARGV[2] where they end (as ZRANGE BYLEX takes it)
--
-- Commands: ZRANGE ZRANK
--
-- Returns the number
local first = redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2], 'BYLEX', 'LIMIT', 0, 1)[1]
if not first then
  return 0
end
local last = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[1], 'BYLEX', 'REV', 'LIMIT', 0, 1)[1]
return redis.call('ZRANK', KEYS[1], last) - redis.call('ZRANK', KEYS[1], first) + 1
