#!lua
-- Puts letters into the inbox of a process.
--
-- KEYS[1] inbox  list
--
-- ARGV[1] for how long they are kept, in ms
-- then the letters
--
-- Commands: RPUSH PEXPIRE
--
-- Returns how many wait there
local count = 0
for index = 2, #ARGV do
  count = redis.call('RPUSH', KEYS[1], ARGV[index])
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return count
