#!lua
-- Creates a namespace if it does not exist and both of its fixed facts are given. Never changes an existing one.
--
-- KEYS[1] meta of the namespace  hash: mode, partitions, highestTimeMs
--
-- ARGV[1] mode, "" none given
-- ARGV[2] number of partitions, "" none given
--
-- Commands: HEXISTS HSET HMGET
--
-- Returns mode, partitions and highest time (ms, false: none) of the namespace afterwards; mode false: it does not exist
if redis.call('HEXISTS', KEYS[1], 'mode') == 0 and ARGV[1] ~= '' and ARGV[2] ~= '' then
  redis.call('HSET', KEYS[1], 'mode', ARGV[1], 'partitions', ARGV[2])
end
return redis.call('HMGET', KEYS[1], 'mode', 'partitions', 'highestTimeMs')
