#!lua
-- Creates a namespace if it does not exist and both of its fixed facts are given. Never changes an existing one.
--
-- KEYS[1] meta of the namespace  hash: mode, partitions, highestTimeMs, format (missing: 1)
--
-- ARGV[1] mode, "" none given
-- ARGV[2] number of partitions, "" none given
-- ARGV[3] format of a namespace that is created
--
-- Commands: HEXISTS HSET HMGET
--
-- Returns mode, partitions, highest time (ms, false: none) and format of the namespace afterwards; mode false: it does not exist
if redis.call('HEXISTS', KEYS[1], 'mode') == 0 and ARGV[1] ~= '' and ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], 'mode', ARGV[1], 'partitions', ARGV[2], 'format', ARGV[3])
end
return redis.call('HMGET', KEYS[1], 'mode', 'partitions', 'highestTimeMs', 'format')
