#!lua
-- Effects of one partition that nobody holds, in the order in which they became free; claims nothing. It writes nothing, and is for those only
-- who may: what asks for the time needs a right that readers have no other use for.
--
-- KEYS[1] effects  hash: effect id -> "<owner of the claim> <value>", see claim-effects.lua
-- KEYS[2] claims   zset: effect id by when its claim runs out (ms, server time)
--
-- ARGV[1] from when on
-- ARGV[2] how many at most
-- ARGV[3] of those that became free at ARGV[1], only ids after this one; "": all
--
-- Commands: TIME ZRANGE HGET
--
-- Returns effect id, when it became free, "<owner> <value>" of each, flat
local time = redis.call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
local limit = tonumber(ARGV[2])

-- By bytes, as the set is ordered; the server's locale would order otherwise.
local function is_after(left, right)
  for at = 1, math.min(#left, #right) do
    local left_byte, right_byte = string.byte(left, at), string.byte(right, at)
    if left_byte ~= right_byte then
      return left_byte > right_byte
    end
  end
  return #left > #right
end

local rows, offset, found = {}, 0, nil
repeat
  found = redis.call('ZRANGE', KEYS[2], ARGV[1], now_ms, 'BYSCORE', 'LIMIT', offset, limit, 'WITHSCORES')
  for index = 1, #found, 2 do
    local id, since_ms = found[index], found[index + 1]
    if #rows < limit * 3 and (tonumber(since_ms) > tonumber(ARGV[1]) or is_after(id, ARGV[3])) then
      local stored = redis.call('HGET', KEYS[1], id)
      if stored then
        rows[#rows + 1] = id
        rows[#rows + 1] = since_ms
        rows[#rows + 1] = stored
      end
    end
  end
  offset = offset + limit
until #found < limit * 2 or #rows >= limit * 3
return rows
