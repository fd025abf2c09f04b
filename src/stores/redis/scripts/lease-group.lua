#!lua
-- Takes or renews the lease on a group.
--
-- KEYS[1] lease  string: owner
--
-- ARGV[1] owner
-- ARGV[2] for how long, in ms
--
-- Commands: GET SET
--
-- Returns "held" or "taken"
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 'taken'
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 'held'
