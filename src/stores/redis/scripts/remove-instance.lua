#!lua flags=allow-oom
-- Removes an instance that still has the expected version, with all that is kept beside it.
-- Allowed when the server is out of memory, because it frees some.
--
-- KEYS[1] instance  string: a line "<version> <checkpoint>", then lines of the history
-- KEYS[2] history   string: the lines that follow
-- KEYS[3] created   zset: instance id by creation time (ms)
-- KEYS[4] touched   hash: instance id -> time in ms
-- KEYS[5] episodes  hash: policy and alert -> record of its episodes
--
-- ARGV[1] instance id
-- ARGV[2] expected version
-- ARGV[3] key of its episode, "" none
-- ARGV[4] the record that goes with it; another one stays
-- ARGV[5] key of a record that must be as expected, "" none
-- ARGV[6] the expected record, "" none
--
-- Commands: GETRANGE TYPE UNLINK ZREM HDEL HGET
--
-- Returns "removed" or "changed" (also when it is gone, or when the record is another one)
if redis.call('GETRANGE', KEYS[1], 0, #ARGV[2]) ~= ARGV[2] .. ' ' then
  return 'changed'
end
for index, wanted in pairs({ [3] = 'zset', [4] = 'hash', [5] = 'hash' }) do
  local found = redis.call('TYPE', KEYS[index]).ok
  if found ~= wanted and found ~= 'none' then
    return redis.error_reply('WRONGTYPE ' .. KEYS[index] .. ' is not a ' .. wanted)
  end
end
if ARGV[5] ~= '' and (redis.call('HGET', KEYS[5], ARGV[5]) or '') ~= ARGV[6] then
  return 'changed'
end
redis.call('UNLINK', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('HDEL', KEYS[4], ARGV[1])
if ARGV[3] ~= '' and redis.call('HGET', KEYS[5], ARGV[3]) == ARGV[4] then
  redis.call('HDEL', KEYS[5], ARGV[3])
end
return 'removed'
