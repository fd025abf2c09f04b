#!lua
-- Prolongs claims of one owner, also those that have run out if nobody else took them since.
--
-- KEYS[1] effects  hash: effect id -> "<owner of the claim> <value>", see claim-effects.lua
-- KEYS[2] claims   zset: effect id by when its claim runs out (ms, server time); never claimed: when it was committed
--
-- ARGV[1] owner
-- ARGV[2] for how long from now, in ms
-- then the effect ids
--
-- Commands: TIME HGET ZADD
--
-- Returns the ids that were prolonged
local time = redis.call('TIME')
local until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
local owner = ARGV[1]

local kept = {}
for index = 3, #ARGV do
  local stored = redis.call('HGET', KEYS[1], ARGV[index])
  local after = stored and string.sub(stored, 1, #owner) == owner and string.sub(stored, #owner + 1, #owner + 1)
  if after == ' ' or after == '~' then
    kept[#kept + 1] = ARGV[index]
  end
end

for _, id in ipairs(kept) do
  redis.call('ZADD', KEYS[2], until_ms, id)
end
return kept
