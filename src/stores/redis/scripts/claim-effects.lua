#!lua
-- Claims effects of one partition that nobody holds: never claimed, given back, or the claim has run out by the server's time. Those that have
-- waited longest come first; or those that are named.
--
-- KEYS[1] effects  hash: effect id -> "<owner of the claim> <value>"; the owner is followed by "~<deliveries>", unless that is 0 without an owner
--                  and 1 with one
-- KEYS[2] claims   zset: effect id by when its claim runs out (ms, server time)
--
-- ARGV[1] who claims
-- ARGV[2] for how long, in ms
-- ARGV[3] how many at most
-- then the effect ids; none: those that have waited longest
--
-- Commands: TIME ZRANGE ZSCORE HGET HSET ZADD
--
-- Returns effect id, value, deliveries, this one included, and who held it last, if it was delivered before, of each claimed effect, flat
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = {}
if #ARGV == 3 then
  ids = redis.call('ZRANGE', KEYS[2], '-inf', now_ms, 'BYSCORE', 'LIMIT', 0, ARGV[3])
else
  for index = 4, #ARGV do
    local free_from_ms = redis.call('ZSCORE', KEYS[2], ARGV[index])
    if free_from_ms and tonumber(free_from_ms) <= now_ms then
      ids[#ids + 1] = ARGV[index]
    end
  end
end

local rows = {}
for _, id in ipairs(ids) do
  local stored = redis.call('HGET', KEYS[1], id)
  if stored then
    local holder, value = string.match(stored, '^(%S*) (.*)$')
    local deliveries = string.match(holder, '~(%d+)$') or (holder == '' and 0 or 1)
    rows[#rows + 1] = id
    rows[#rows + 1] = value
    rows[#rows + 1] = deliveries + 1
    rows[#rows + 1] = deliveries + 0 > 0 and string.match(holder, '^[^~]*') or ''
  end
end

for index = 1, #rows, 4 do
  local holder = ARGV[1]
  if rows[index + 2] > 1 then
    holder = holder .. '~' .. rows[index + 2]
  end
  redis.call('HSET', KEYS[1], rows[index], holder .. ' ' .. rows[index + 1])
  redis.call('ZADD', KEYS[2], now_ms + tonumber(ARGV[2]), rows[index])
end
return rows
