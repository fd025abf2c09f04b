#!lua flags=no-writes
-- One page of a partition's instances by creation time, starting strictly behind a place that need not exist any longer.
--
-- KEYS[1] created  zset: instance id by creation time (ms)
--
-- ARGV[1] "newest" or "oldest": which comes first
-- ARGV[2] how many at most
-- ARGV[3] creation time (ms) of the place, "" from the start
-- ARGV[4] instance id of the place
--
-- Commands: ZREVRANK ZRANK ZCOUNT ZSCORE ZRANGE
--
-- Returns instance id and creation time (ms) of each, flat
local is_newest_first = ARGV[1] == 'newest'
local rank_command = is_newest_first and 'ZREVRANK' or 'ZRANK'
local first = 0

if ARGV[3] ~= '' then
  -- How many stand before everything of that creation time; then past those of the same time that stand before the place.
  if is_newest_first then
    first = redis.call('ZCOUNT', KEYS[1], '(' .. ARGV[3], '+inf')
  else
    first = redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[3])
  end
  local score = redis.call('ZSCORE', KEYS[1], ARGV[4])
  if score and tonumber(score) == tonumber(ARGV[3]) then
    first = redis.call(rank_command, KEYS[1], ARGV[4]) + 1
  else
    -- Members of one score are sorted by their bytes: a binary search finds the first one behind the place.
    -- Ids are digits, '-' and lower-case letters, which Lua sorts alike in every locale that the server may run in.
    local low, high = first, first + redis.call('ZCOUNT', KEYS[1], ARGV[3], ARGV[3])
    while low < high do
      local middle = math.floor((low + high) / 2)
      local id
      if is_newest_first then
        id = redis.call('ZRANGE', KEYS[1], middle, middle, 'REV')[1]
      else
        id = redis.call('ZRANGE', KEYS[1], middle, middle)[1]
      end
      local is_behind
      if is_newest_first then
        is_behind = id < ARGV[4]
      else
        is_behind = id > ARGV[4]
      end
      if is_behind then
        high = middle
      else
        low = middle + 1
      end
    end
    first = low
  end
end

local last = first + tonumber(ARGV[2]) - 1
if last < first then
  return {}
end
if is_newest_first then
  return redis.call('ZRANGE', KEYS[1], first, last, 'REV', 'WITHSCORES')
end
return redis.call('ZRANGE', KEYS[1], first, last, 'WITHSCORES')
