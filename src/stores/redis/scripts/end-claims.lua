#!lua
-- Ends claims of one owner: gives the effects back, as deliveries that never were, or sets them aside.
--
-- KEYS[1] effects  hash: effect id -> "<owner of the claim> <value>", see claim-effects.lua
-- KEYS[2] claims   zset: effect id by when its claim runs out (ms, server time)
--
-- ARGV[1] owner
-- ARGV[2] after how many ms whoever comes first may claim them
-- ARGV[3] by how much their deliveries fall
-- ARGV[4] "1": until then the owner may still end them
-- then the effect ids
--
-- Commands: TIME HGET HSET ZADD
--
-- Returns the ids whose claims were ended
local time = redis.call('TIME')
local free_from_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[2])
local owner = ARGV[1]

local rows = {}
for index = 5, #ARGV do
  local stored = redis.call('HGET', KEYS[1], ARGV[index])
  local after = stored and string.sub(stored, 1, #owner) == owner and string.sub(stored, #owner + 1, #owner + 1)
  if after == ' ' or after == '~' then
    local holder, value = string.match(stored, '^(%S*) (.*)$')
    local deliveries = math.max(tonumber(string.match(holder, '~(%d+)$') or 1) - ARGV[3], 0)
    local mark = (ARGV[4] == '1' and owner or '') .. '~' .. deliveries
    rows[#rows + 1] = { ARGV[index], mark .. ' ' .. value }
  end
end

local ended = {}
for index, row in ipairs(rows) do
  redis.call('HSET', KEYS[1], row[1], row[2])
  redis.call('ZADD', KEYS[2], string.format('%.0f', free_from_ms), row[1])
  ended[index] = row[1]
end
return ended
