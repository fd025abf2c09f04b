#!lua flags=no-writes
-- All that detection goes on from, at one moment. A script and no MULTI: that is refused by a server that is out of memory.
--
-- KEYS[1] head    string "<version> <id of the last commit> <alerts that are gone> <audit events that are gone>"
-- KEYS[2] alerts  list, the oldest that is kept first
-- KEYS[3] pieces  hash: name -> value
-- then ACCESS_DUPLICATE of each strategy group (zset: record id by data time, s)
--
-- ARGV[1] there is none
--
-- Commands: GET LLEN HGETALL ZRANGE
--
-- Returns the head or nil, the number of alerts, name and value of each piece (flat), then for each group record id and time (flat)
local stored = {
  redis.call('GET', KEYS[1]),
  redis.call('LLEN', KEYS[2]),
  redis.call('HGETALL', KEYS[3]),
}
for index = 4, #KEYS do
  stored[index] = redis.call('ZRANGE', KEYS[index], 0, -1, 'WITHSCORES')
end
return stored
