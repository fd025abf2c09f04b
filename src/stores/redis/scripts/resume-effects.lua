#!lua
-- Lets effects that were set aside be delivered once more, as if they never had been.
--
-- KEYS[1] effects  hash: effect id -> "<owner of the claim> <value>", see claim-effects.lua
-- KEYS[2] claims   zset: effect id by when its claim runs out (ms, server time)
--
-- ARGV[1] from which end of a claim on an effect is set aside
-- then the effect ids
--
-- Commands: TIME ZSCORE HGET HSET ZADD
--
-- Returns the ids that were set aside
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

local rows = {}
for index = 2, #ARGV do
  local free_from_ms = redis.call('ZSCORE', KEYS[2], ARGV[index])
  local stored = free_from_ms and tonumber(free_from_ms) >= tonumber(ARGV[1]) and redis.call('HGET', KEYS[1], ARGV[index])
  if stored then
    rows[#rows + 1] = { ARGV[index], string.match(stored, '^%S*( .*)$') }
  end
end

local resumed = {}
for index, row in ipairs(rows) do
  redis.call('HSET', KEYS[1], row[1], row[2])
  redis.call('ZADD', KEYS[2], now_ms, row[1])
  resumed[index] = row[1]
end
return resumed
