#!lua
-- Applies one commit: everything of it, or nothing.
-- Reads and checks all that a refusal can depend on before the first write, because Redis never rolls a script back.
-- Rows of one kind lie together, so that one call writes many of them: the calls are most of what a commit costs.
--
-- KEYS[1]  commit id              empty string, lives ARGV[2] ms
-- KEYS[2]  created                zset: instance id by creation time (ms)
-- KEYS[3]  effects                hash: effect id -> "<owner of the claim> <value>", the owner empty while nobody claimed it
-- KEYS[4]  claims                 zset: effect id by when its claim runs out (ms, server time); 0 never claimed
-- KEYS[5]  timers, lane work      zset: timer by due time (ms)
-- KEYS[6]  timers, lane approval  zset: timer by due time (ms)
-- KEYS[7]  waiters of the group   zset: instance id by order           (7 to 10 only with a group)
-- KEYS[8]  held of the group      zset: instance id by order
-- KEYS[9]  group                  string "<version> <value>"
-- KEYS[10] lease of the group     string: owner
-- then new instances: the key of each (string "<version> <value>"), then the history of each (string, every line ended by "\n");
-- then changed instances: key and history of each
--
-- ARGV[1]  owner of the commit
-- ARGV[2]  how long the commit id is remembered, in ms
-- ARGV[3]  expected version of the group: "" no group, "0" must not exist
-- ARGV[4]  the group's new "<version> <value>"
-- ARGV[5]  time-to-live of the group in ms, "" keep it
-- ARGV[6]  lease of the effects in ms, 0 claimed by nobody
-- ARGV[7..18] numbers of: new instances, changed instances, effects, settled effects,
--             timers armed in work, in approval, cancelled in work, in approval,
--             members added to waiters, to held, removed from waiters, from held
-- then, all of one kind before the next, in that order:
--   new instance:      new "<version> <value>", history text; after all of these: creation time in ms, id
--   changed instance:  expected version, new "<version> <value>", history text
--   effect:            id, "<owner of the claim> <value>"
--   settled effect:    id
--   armed timer:       due time in ms, member
--   cancelled timer:   member
--   added member:      order, id
--   removed member:    id
--
-- Returns "applied", "duplicate", "fenced" or "conflict"
local call = redis.call
local FIRST_ROW = 19
-- Lua's stack holds some thousand values.
local CHUNK = 500

local has_group = ARGV[3] ~= ''
local first_key = has_group and 11 or 7
local new_count = tonumber(ARGV[7])
local changed_count = tonumber(ARGV[8])
local first_changed_key = first_key + new_count * 2
local first_changed_row = FIRST_ROW + new_count * 4

local function is_at_version(key, expected)
  return call('GETRANGE', key, 0, #expected) == expected .. ' '
end

local function exists_any(from, to)
  for start = from, to, CHUNK do
    if call('EXISTS', unpack(KEYS, start, math.min(start + CHUNK - 1, to))) > 0 then
      return true
    end
  end
  return false
end

local seen = call('MGET', KEYS[1], KEYS[has_group and 10 or 1])
if seen[1] then
  return 'duplicate'
end
if has_group then
  if seen[2] and seen[2] ~= ARGV[1] then
    return 'fenced'
  end
  if ARGV[3] == '0' then
    if exists_any(9, 9) then
      return 'conflict'
    end
  elseif not is_at_version(KEYS[9], ARGV[3]) then
    return 'conflict'
  end
end
if exists_any(first_key, first_key + new_count - 1) then
  return 'conflict'
end
for index = 0, changed_count - 1 do
  if not is_at_version(KEYS[first_changed_key + index * 2], ARGV[first_changed_row + index * 3]) then
    return 'conflict'
  end
end

-- Nothing below refuses.
call('SET', KEYS[1], '', 'PX', ARGV[2])

local row = FIRST_ROW

-- Calls `command` with as many arguments from ARGV as stand for `count` rows of `width`, and moves past them.
local function write_rows(count, width, command, key, option)
  local last = row + count * width - 1
  while row <= last do
    local chunk_last = math.min(row + CHUNK - 1, last)
    if option then
      call(command, key, option, unpack(ARGV, row, chunk_last))
    else
      call(command, key, unpack(ARGV, row, chunk_last))
    end
    row = chunk_last + 1
  end
end

if new_count > 0 then
  local pairs_to_set = {}
  for index = 0, new_count - 1 do
    pairs_to_set[#pairs_to_set + 1] = KEYS[first_key + index]
    pairs_to_set[#pairs_to_set + 1] = ARGV[row]
    if ARGV[row + 1] ~= '' then
      pairs_to_set[#pairs_to_set + 1] = KEYS[first_key + new_count + index]
      pairs_to_set[#pairs_to_set + 1] = ARGV[row + 1]
    end
    row = row + 2
  end
  for start = 1, #pairs_to_set, CHUNK do
    call('MSET', unpack(pairs_to_set, start, math.min(start + CHUNK - 1, #pairs_to_set)))
  end
  write_rows(new_count, 2, 'ZADD', KEYS[2])
end

for index = 0, changed_count - 1 do
  call('SET', KEYS[first_changed_key + index * 2], ARGV[row + 1])
  if ARGV[row + 2] ~= '' then
    call('APPEND', KEYS[first_changed_key + index * 2 + 1], ARGV[row + 2])
  end
  row = row + 3
end

-- Most commits of a storm have no rows of the other kinds.
local has_more_rows = row <= #ARGV
if has_more_rows then
  local effect_count = tonumber(ARGV[9])
  if effect_count > 0 then
    local claimed_until_ms = 0
    if ARGV[6] ~= '0' then
      local time = call('TIME')
      claimed_until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(ARGV[6])
    end
    for index = 0, effect_count - 1 do
      call('ZADD', KEYS[4], claimed_until_ms, ARGV[row + index * 2])
    end
    write_rows(effect_count, 2, 'HSET', KEYS[3])
  end
  local first_settled_row = row
  write_rows(tonumber(ARGV[10]), 1, 'HDEL', KEYS[3])
  row = first_settled_row
  write_rows(tonumber(ARGV[10]), 1, 'ZREM', KEYS[4])
  write_rows(tonumber(ARGV[11]), 2, 'ZADD', KEYS[5])
  write_rows(tonumber(ARGV[12]), 2, 'ZADD', KEYS[6])
  write_rows(tonumber(ARGV[13]), 1, 'ZREM', KEYS[5])
  write_rows(tonumber(ARGV[14]), 1, 'ZREM', KEYS[6])
end

if has_group then
  if has_more_rows then
    write_rows(tonumber(ARGV[15]), 2, 'ZADD', KEYS[7], 'NX')
    write_rows(tonumber(ARGV[16]), 2, 'ZADD', KEYS[8], 'NX')
    write_rows(tonumber(ARGV[17]), 1, 'ZREM', KEYS[7])
    write_rows(tonumber(ARGV[18]), 1, 'ZREM', KEYS[8])
  end
  -- The group and its sets live equally long.
  if ARGV[5] ~= '' then
    call('SET', KEYS[9], ARGV[4], 'PX', ARGV[5])
    call('PEXPIRE', KEYS[7], ARGV[5])
    call('PEXPIRE', KEYS[8], ARGV[5])
  else
    local had_end = call('PTTL', KEYS[9]) >= 0
    call('SET', KEYS[9], ARGV[4])
    if had_end then
      call('PERSIST', KEYS[7])
      call('PERSIST', KEYS[8])
    end
  end
end

return 'applied'
