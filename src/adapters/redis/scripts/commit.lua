#!lua
-- Applies commits of one partition that were sent together, one after the other: of each everything, or nothing.
-- Reads and checks all that a refusal can depend on before the first write of a commit, because Redis never rolls a script back.
-- Rows of one kind lie together, and what commits write into keys that they share is gathered and written once, after the last of them:
-- the calls are most of what a commit costs. No check reads what is gathered.
--
-- KEYS[1]  created                zset: instance id by creation time (ms)
-- KEYS[2]  effects                hash: effect id -> "<owner of the claim> <value>", the owner empty while nobody claimed it
-- KEYS[3]  claims                 zset: effect id by when its claim runs out (ms, server time); 0 never claimed
-- KEYS[4]  timers, lane work      zset: timer by due time (ms)
-- KEYS[5]  timers, lane approval  zset: timer by due time (ms)
-- then for each commit:
--   commit id                     empty string, lives ARGV[1] ms
--   id of the commit before       the same; this one is refused unless that one was applied (only when it follows one)
--   group                         string "<version> <value>"           (these two only with a group)
--   lease of the group            string: owner
--   waiters of the group          zset: instance id by order           (these two only when it is written)
--   held of the group             zset: instance id by order
--   each new instance             string: a line "<version> <checkpoint>", then the lines of its first commit
--   each changed instance, and its history (string: the lines since its first commit, each ended by "\n")
--
-- ARGV[1]  how long commit ids are remembered, in ms
-- ARGV[2]  how many bytes of an instance's key stand before its id
-- then for each commit:
--   its head, words with a space between them:
--     owner
--     1 when it follows a commit, 0 when not
--     expected version of the group: "-" no group, "0" must not exist
--     time-to-live of the group in ms, "-" keep it
--     lease of its effects in ms, 0 claimed by nobody
--     how many rows it has in all
--     numbers: new instances, runs of them, changed instances, effects, settled effects,
--       timers armed in work, in approval, cancelled in work, in approval,
--       members added to waiters, to held, removed from waiters, from held
--   the group's new "<version> <value>", "" without a group or when it is only compared
--   the rows, all of one kind before the next, in that order:
--     run of new instances, which differ in their heads and first lines only:
--                        how many, creation time in ms, body of the checkpoint,
--                        lines after the first, each behind a "\n" ("-": there is no line at all);
--                        then for each: head of the checkpoint, first line
--     changed instance:  expected version, new "<version> <checkpoint>", lines to append
--     effect:            id, "<owner of the claim> <value>"
--     settled effect:    id
--     armed timer:       due time in ms, member
--     cancelled timer:   member
--     added member:      order, id
--     removed member:    id
--
-- Returns for each commit "applied", "duplicate", "fenced" or "conflict"
-- Globals cost a search each.
local call, KEYS, ARGV = redis.call, KEYS, ARGV
local find, match, sub, tonumber, unpack = string.find, string.match, string.sub, tonumber, unpack
local SHARED_KEYS = 5
local FIRST_COMMIT = 3
local HEAD = '^' .. string.rep('(%S+) ', 18) .. '(%S+)$'
local HEAD_ROWS = 2
-- Of a new instance, and of what a run of them has in common.
local NEW_WIDTH, RUN_WIDTH = 2, 4
-- Lua's stack holds some thousand values.
local CHUNK = 500

-- What the commits write into the keys that they share.
local created, effects, claims, settled = {}, {}, {}, {}
local armed, cancelled = { {}, {} }, { {}, {} }

local function write_all(command, key, values)
  for from = 1, #values, CHUNK do
    call(command, key, unpack(values, from, math.min(from + CHUNK - 1, #values)))
  end
end

-- What is put in comes before what is taken out.
local function write_gathered()
  write_all('ZADD', KEYS[1], created)
  write_all('HSET', KEYS[2], effects)
  write_all('ZADD', KEYS[3], claims)
  write_all('HDEL', KEYS[2], settled)
  write_all('ZREM', KEYS[3], settled)
  for lane = 1, 2 do
    write_all('ZADD', KEYS[3 + lane], armed[lane])
    write_all('ZREM', KEYS[3 + lane], cancelled[lane])
  end
end

local now_ms

-- When a claim that begins now runs out.
local function claim_end_ms(lease_ms)
  if lease_ms == '0' then
    return '0'
  end
  if not now_ms then
    local time = call('TIME')
    now_ms = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return now_ms + tonumber(lease_ms)
end

-- Is one of the keys from `from` to `to` there, or `further`, unless it is false?
local function exists_any(from, to, further)
  if further then
    local last = math.min(from + CHUNK - 1, to)
    if call('EXISTS', further, unpack(KEYS, from, last)) > 0 then
      return true
    end
    from = last + 1
  end
  for start = from, to, CHUNK do
    if call('EXISTS', unpack(KEYS, start, math.min(start + CHUNK - 1, to))) > 0 then
      return true
    end
  end
  return false
end

-- The texts of changed instances as they are stored, or nil when one is not at the version that the commit expects.
local function read_changed(key, at, count)
  local texts = {}
  for index = 0, count - 1 do
    local text = call('GET', KEYS[key + index * 2])
    local expected = ARGV[at + index * 3] .. ' '
    if not text or sub(text, 1, #expected) ~= expected then
      return nil
    end
    texts[index] = text
  end
  return texts
end

-- Where rows are taken from; what takes some moves it past them.
local row

-- Puts the texts of new instances together, and sets them. An instance's id is the end of its key.
local function write_new(key, run_count)
  local id_at = ARGV[2] + 1
  for _ = 1, run_count do
    local count, created_at_ms = tonumber(ARGV[row]), ARGV[row + 1]
    local body, lines_after_first = ' ' .. ARGV[row + 2], ARGV[row + 3]
    row = row + RUN_WIDTH
    local texts = {}
    for index = 1, count do
      local instance_key, text = KEYS[key], nil
      if lines_after_first == '-' then
        text = '1 ' .. ARGV[row] .. body
      else
        text = '1 ' .. ARGV[row] .. body .. '\n' .. ARGV[row + 1] .. lines_after_first
      end
      texts[index * 2 - 1] = instance_key
      texts[index * 2] = text
      created[#created + 1] = created_at_ms
      created[#created + 1] = sub(instance_key, id_at)
      key = key + 1
      row = row + NEW_WIDTH
    end
    for from = 1, count * 2, CHUNK do
      call('MSET', unpack(texts, from, math.min(from + CHUNK - 1, count * 2)))
    end
  end
end

-- The first line is the checkpoint; those after it stay.
local function write_changed(key, count, texts)
  for index = 0, count - 1 do
    local line_end = find(texts[index], '\n', 1, true)
    local lines = line_end and sub(texts[index], line_end) or ''
    call('SET', KEYS[key + index * 2], ARGV[row + 1] .. lines)
    if ARGV[row + 2] ~= '' then
      call('APPEND', KEYS[key + index * 2 + 1], ARGV[row + 2])
    end
    row = row + 3
  end
end

local function gather(values, count, width)
  if count == '0' then
    return
  end
  local last = row + count * width - 1
  for at = row, last do
    values[#values + 1] = ARGV[at]
  end
  row = last + 1
end

local function gather_effects(count, lease_ms)
  if count == '0' then
    return
  end
  local end_ms = claim_end_ms(lease_ms)
  for index = 0, count - 1 do
    claims[#claims + 1] = end_ms
    claims[#claims + 1] = ARGV[row + index * 2]
  end
  gather(effects, count, 2)
end

-- Members of a set of the group.
local function write_members(count, width, command, key, option)
  if count == '0' then
    return
  end
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

-- The group and its sets live equally long. Most groups have no sets.
local function write_group(waiters_key, held_key, group_key, value, ttl_ms)
  local has_sets = call('EXISTS', waiters_key, held_key) > 0
  if ttl_ms == '-' then
    call('SET', group_key, value)
    if has_sets then
      call('PERSIST', waiters_key)
      call('PERSIST', held_key)
    end
    return
  end
  call('SET', group_key, value, 'PX', ttl_ms)
  if has_sets then
    call('PEXPIRE', waiters_key, ttl_ms)
    call('PEXPIRE', held_key, ttl_ms)
  end
end

-- Applies the commit whose keys begin at `key` and whose arguments begin at `first`. Returns its outcome, and where the next one's begin.
local function apply(key, first)
  local owner, is_following, expected_version, ttl_ms, lease_ms, row_count, new_count, run_count, changed_count,
    effect_count, settled_count, armed_work, armed_approval, cancelled_work, cancelled_approval,
    waiters_added, held_added, waiters_removed, held_removed = match(ARGV[first], HEAD)
  local group_value = ARGV[first + 1]
  local has_group, is_written = expected_version ~= '-', group_value ~= ''
  local group_at = key + 1 + is_following
  local group_key, lease_key, waiters_key, held_key =
    KEYS[group_at], KEYS[group_at + 1], KEYS[group_at + 2], KEYS[group_at + 3]
  local new_key = group_at + (has_group and (is_written and 4 or 2) or 0)
  local changed_key = new_key + new_count
  local changed_row = first + HEAD_ROWS + new_count * NEW_WIDTH + run_count * RUN_WIDTH
  local next_key, next_first = changed_key + changed_count * 2, first + HEAD_ROWS + row_count

  local seen = call('MGET', KEYS[key], KEYS[group_at - 1], has_group and lease_key or KEYS[key])
  if seen[1] then
    return 'duplicate', next_key, next_first
  end
  if has_group and seen[3] and seen[3] ~= owner then
    return 'fenced', next_key, next_first
  end
  if is_following == '1' and not seen[2] then
    return 'conflict', next_key, next_first
  end
  if has_group and expected_version ~= '0' then
    if call('GETRANGE', group_key, 0, #expected_version) ~= expected_version .. ' ' then
      return 'conflict', next_key, next_first
    end
  end
  if exists_any(new_key, changed_key - 1, expected_version == '0' and group_key) then
    return 'conflict', next_key, next_first
  end
  local texts = read_changed(changed_key, changed_row, changed_count)
  if not texts then
    return 'conflict', next_key, next_first
  end

  -- Nothing below refuses.
  call('SET', KEYS[key], '', 'PX', ARGV[1])
  row = first + HEAD_ROWS
  write_new(new_key, run_count)
  write_changed(changed_key, changed_count, texts)
  gather_effects(effect_count, lease_ms)
  gather(settled, settled_count, 1)
  gather(armed[1], armed_work, 2)
  gather(armed[2], armed_approval, 2)
  gather(cancelled[1], cancelled_work, 1)
  gather(cancelled[2], cancelled_approval, 1)
  if is_written then
    write_members(waiters_added, 2, 'ZADD', waiters_key, 'NX')
    write_members(held_added, 2, 'ZADD', held_key, 'NX')
    write_members(waiters_removed, 1, 'ZREM', waiters_key)
    write_members(held_removed, 1, 'ZREM', held_key)
    write_group(waiters_key, held_key, group_key, group_value, ttl_ms)
  end
  return 'applied', next_key, next_first
end

local outcomes = {}
local key, first = SHARED_KEYS + 1, FIRST_COMMIT
local failure
while key <= #KEYS and not failure do
  local is_done, outcome, next_key, next_first = pcall(apply, key, first)
  if is_done then
    outcomes[#outcomes + 1] = outcome
    key, first = next_key, next_first
  else
    failure = outcome
  end
end
-- Those before one that failed are applied, and will be told to be duplicates.
write_gathered()
if failure then
  error(failure)
end
return outcomes
