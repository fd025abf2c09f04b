#!lua
-- Claims effects of one partition that nobody holds: never claimed, or the claim has run out by the server's time. Those that have waited
-- longest come first.
--
-- KEYS[1] effects  hash: effect id -> "<owner of the claim> <value>"
-- KEYS[2] claims   zset: effect id by when its claim runs out (ms, server time)
--
-- ARGV[1] who claims
-- ARGV[2] for how long, in ms
-- ARGV[3] how many at most
--
-- Commands: TIME ZRANGE HGET HSET ZADD
--
-- Returns effect id and value of each claimed effect, flat
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGE', KEYS[2], '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[3])

local rows = {}
for _, id in ipairs(ids) do
  local stored = redis.call('HGET', KEYS[1], id)
  if stored then
    local value = string.sub(stored, string.find(stored, ' ', 1, true) + 1)
    rows[#rows + 1] = id
    rows[#rows + 1] = value
  end
end

for index = 1, #rows, 2 do
  redis.call('HSET', KEYS[1], rows[index], ARGV[1] .. ' ' .. rows[index + 1])
  redis.call('ZADD', KEYS[2], now_ms + tonumber(ARGV[2]), rows[index])
end
return rows
