#!lua
-- Writes records of episodes that are still as they were read: all of them, or none. What a receipt of an alert that still fires may cost.
--
-- KEYS[1] episodes  hash: policy and alert -> record of its episodes
--
-- ARGV[1] key
-- ARGV[2] expected record, "" none
-- ARGV[3] record
-- and the same three for each further one
--
-- Commands: HMGET HSET
--
-- Returns "applied" or "conflict"
local CHUNK = 500
for from = 1, #ARGV, CHUNK * 3 do
  local last = math.min(from + CHUNK * 3 - 1, #ARGV)
  local keys = {}
  for at = from, last, 3 do
    keys[#keys + 1] = ARGV[at]
  end
  local records = redis.call('HMGET', KEYS[1], unpack(keys))
  for index, record in ipairs(records) do
    local expected, wanted = ARGV[from + index * 3 - 2], ARGV[from + index * 3 - 1]
    -- What was written by a try whose answer was lost is as good.
    if (record or '') ~= expected and record ~= wanted then
      return 'conflict'
    end
  end
end
for from = 1, #ARGV, CHUNK * 3 do
  local rows = {}
  for at = from, math.min(from + CHUNK * 3 - 1, #ARGV), 3 do
    rows[#rows + 1], rows[#rows + 2] = ARGV[at], ARGV[at + 2]
  end
  redis.call('HSET', KEYS[1], unpack(rows))
end
return 'applied'
