#!lua flags=no-writes
-- Effects of one partition that no claim will ever give out, because they have no row among the claims; some at a time.
--
-- KEYS[1] effects  hash: effect id -> "<owner of the claim> <value>"
-- KEYS[2] claims   zset: effect id by when its claim runs out (ms, server time); never claimed: when it was committed
--
-- ARGV[1] cursor of the scan, "0" at first
--
-- Commands: HSCAN ZSCORE
--
-- Returns the next cursor ("0": that was all), then effect ids
local next_cursor, rows = unpack(redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', 500))
local reply = { next_cursor }
for index = 1, #rows, 2 do
  if not redis.call('ZSCORE', KEYS[2], rows[index]) then
    reply[#reply + 1] = rows[index]
  end
end
return reply
