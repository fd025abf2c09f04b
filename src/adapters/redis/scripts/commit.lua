#!lua
-- Applies one commit: everything of it, or nothing.
-- Reads and checks all that a refusal can depend on before the first write, because Redis never rolls a script back.
--
-- KEYS[1]  commit id              empty string, lives ARGV[8] ms
-- KEYS[2]  created                zset: instance id by creation time (ms)
-- KEYS[3]  timers, lane work      zset: timer by due time (ms)
-- KEYS[4]  timers, lane approval  zset: timer by due time (ms)
-- KEYS[5]  effects                hash: effect id -> "<owner of the claim> <value>"
-- KEYS[6]  claims                 zset: effect id by when its claim runs out (ms, server time); 0 never claimed
-- KEYS[7]  group                  string "<version> <value>"           (7 to 10 only with a group)
-- KEYS[8]  lease of the group     string: owner
-- KEYS[9]  waiters of the group   zset: instance id by order
-- KEYS[10] held of the group      zset: instance id by order
-- then for each instance: its key (string "<version> <value>") and its history (string, each line ended by "\n")
--
-- ARGV[1]  owner of the commit
-- ARGV[2]  expected version of the group: "" no group, "0" must not exist
-- ARGV[3]  the group's new "<version> <value>"
-- ARGV[4]  time-to-live of the group in ms, "" keep it
-- ARGV[5]  number of instances
-- ARGV[6]  number of effects
-- ARGV[7]  lease of the effects in ms, "0" claimed by nobody
-- ARGV[8]  how long the commit id is remembered, in ms
-- ARGV[9]  number of settled effects
-- ARGV[10] number of armed timers
-- ARGV[11] number of cancelled timers
-- ARGV[12] number of added members
-- ARGV[13] number of removed members
-- then for each instance: expected version ("0": new), new "<version> <value>", history text, id ("" unless new), creation time in ms
-- for each effect: id, "<owner of the claim> <value>"; for each settled effect: id
-- for each armed timer: number of its key, due time in ms, member; for each cancelled timer: number of its key, member
-- for each added member: number of its key, order, id; for each removed member: number of its key, id
--
-- Returns "applied", "duplicate", "fenced" or "conflict"
local FIRST_ROW = 14
local call = redis.call

local has_group = ARGV[2] ~= ''
local first_instance_key = has_group and 11 or 7
local instance_count = tonumber(ARGV[5])
local effect_count = tonumber(ARGV[6])
local effect_lease_ms = tonumber(ARGV[7])

local function is_at_version(key, expected)
  if expected == '0' then
    return call('EXISTS', key) == 0
  end
  return call('GETRANGE', key, 0, #expected) == expected .. ' '
end

if call('EXISTS', KEYS[1]) == 1 then
  return 'duplicate'
end
if has_group then
  local holder = call('GET', KEYS[8])
  if holder and holder ~= ARGV[1] then
    return 'fenced'
  end
  if not is_at_version(KEYS[7], ARGV[2]) then
    return 'conflict'
  end
end
for index = 0, instance_count - 1 do
  if not is_at_version(KEYS[first_instance_key + index * 2], ARGV[FIRST_ROW + index * 5]) then
    return 'conflict'
  end
end

-- Nothing below refuses.
call('SET', KEYS[1], '', 'PX', ARGV[8])

local row = FIRST_ROW
for index = 0, instance_count - 1 do
  local key = KEYS[first_instance_key + index * 2]
  local history_key = KEYS[first_instance_key + index * 2 + 1]
  call('SET', key, ARGV[row + 1])
  if ARGV[row] == '0' then
    call('ZADD', KEYS[2], ARGV[row + 4], ARGV[row + 3])
    if ARGV[row + 2] ~= '' then
      call('SET', history_key, ARGV[row + 2])
    end
  elseif ARGV[row + 2] ~= '' then
    call('APPEND', history_key, ARGV[row + 2])
  end
  row = row + 5
end

if effect_count > 0 then
  local claimed_until_ms = 0
  if effect_lease_ms > 0 then
    local time = call('TIME')
    claimed_until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + effect_lease_ms
  end
  for _ = 1, effect_count do
    call('HSET', KEYS[5], ARGV[row], ARGV[row + 1])
    call('ZADD', KEYS[6], claimed_until_ms, ARGV[row])
    row = row + 2
  end
end

for _ = 1, tonumber(ARGV[9]) do
  call('HDEL', KEYS[5], ARGV[row])
  call('ZREM', KEYS[6], ARGV[row])
  row = row + 1
end
for _ = 1, tonumber(ARGV[10]) do
  call('ZADD', KEYS[tonumber(ARGV[row])], ARGV[row + 1], ARGV[row + 2])
  row = row + 3
end
for _ = 1, tonumber(ARGV[11]) do
  call('ZREM', KEYS[tonumber(ARGV[row])], ARGV[row + 1])
  row = row + 2
end

if has_group then
  for _ = 1, tonumber(ARGV[12]) do
    call('ZADD', KEYS[tonumber(ARGV[row])], 'NX', ARGV[row + 1], ARGV[row + 2])
    row = row + 3
  end
  for _ = 1, tonumber(ARGV[13]) do
    call('ZREM', KEYS[tonumber(ARGV[row])], ARGV[row + 1])
    row = row + 2
  end
  if ARGV[4] == '' then
    call('SET', KEYS[7], ARGV[3])
    call('PERSIST', KEYS[9])
    call('PERSIST', KEYS[10])
  else
    call('SET', KEYS[7], ARGV[3], 'PX', ARGV[4])
    call('PEXPIRE', KEYS[9], ARGV[4])
    call('PEXPIRE', KEYS[10], ARGV[4])
  end
end

return 'applied'
