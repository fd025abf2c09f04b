#!lua flags=allow-oom
-- Says that a process lives, and answers who does.
-- Allowed when the server is out of memory: it writes one small row in place of another, and without it owners would
-- lose their partitions, and nobody would know who may remove what frees memory.
--
-- KEYS[1] processes  hash: id -> "<when its lease runs out (ms, server time)> <record>"
--
-- ARGV[1] id; "" only asks
-- ARGV[2] record
-- ARGV[3] for how long, in ms
--
-- Commands: TIME HSET HGETALL HDEL PEXPIRE
--
-- Returns id, record and what is left of its lease (ms) of each that lives, flat
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', now_ms + tonumber(ARGV[3])) .. ' ' .. ARGV[2])
  redis.call('PEXPIRE', KEYS[1], 10 * tonumber(ARGV[3]))
end

local stored = redis.call('HGETALL', KEYS[1])
local living = {}
for index = 1, #stored, 2 do
  local space = string.find(stored[index + 1], ' ', 1, true)
  local left_ms = tonumber(string.sub(stored[index + 1], 1, space - 1)) - now_ms
  if left_ms > 0 then
    living[#living + 1] = stored[index]
    living[#living + 1] = string.sub(stored[index + 1], space + 1)
    living[#living + 1] = left_ms
  elseif ARGV[1] ~= '' then
    redis.call('HDEL', KEYS[1], stored[index])
  end
end
return living
