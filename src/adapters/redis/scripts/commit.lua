#!lua
-- Applies commits of one partition that were sent together, one after the other: of each everything, or nothing.
-- Reads and checks all that a refusal can depend on before the first write of a commit, because Redis never rolls a script back.
-- Rows of one kind lie together, so that one call writes many of them: the calls are most of what a commit costs.
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
local call = redis.call
local SHARED_KEYS = 5
local HEAD_WORDS = 5
local HEAD_ROWS = 2
local FIRST_COMMIT = 3
-- Of a number's rows, in the order of the head. New instances: head and first line; a run of them: what it has in common.
local ROW_WIDTHS = { 2, 4, 3, 2, 1, 2, 2, 1, 1, 2, 2, 1, 1 }
-- Lua's stack holds some thousand values.
local CHUNK = 500

local function exists_any(from, to)
  for start = from, to, CHUNK do
    if call('EXISTS', unpack(KEYS, start, math.min(start + CHUNK - 1, to))) > 0 then
      return true
    end
  end
  return false
end

local function is_at_version(key, expected)
  return call('GETRANGE', key, 0, #expected) == expected .. ' '
end

-- Where rows are written from; each write moves it past them.
local row

-- Calls `command` with as many arguments from ARGV as stand for `count` rows of `width`.
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

-- The texts of changed instances as they are stored, or nil when one is not at the version that the commit expects.
local function read_changed(key, at, count)
  local texts = {}
  for index = 0, count - 1 do
    local text = call('GET', KEYS[key + index * 2])
    local expected = ARGV[at + index * 3] .. ' '
    if not text or string.sub(text, 1, #expected) ~= expected then
      return nil
    end
    texts[index] = text
  end
  return texts
end

-- Puts the texts of new instances together, and sets them. An instance's id is the end of its key.
local function write_new(key, run_count)
  for _ = 1, run_count do
    local count, created_at_ms = tonumber(ARGV[row]), ARGV[row + 1]
    local body, lines_after_first = ' ' .. ARGV[row + 2], ARGV[row + 3]
    row = row + 4
    local to_set, to_list = {}, {}
    for index = 1, count do
      local instance_key, text = KEYS[key], nil
      if lines_after_first == '-' then
        text = '1 ' .. ARGV[row] .. body
      else
        text = '1 ' .. ARGV[row] .. body .. '\n' .. ARGV[row + 1] .. lines_after_first
      end
      to_set[index * 2 - 1] = instance_key
      to_set[index * 2] = text
      to_list[index * 2 - 1] = created_at_ms
      to_list[index * 2] = string.sub(instance_key, ARGV[2] + 1)
      key = key + 1
      row = row + 2
    end
    for start = 1, count * 2, CHUNK do
      local last = math.min(start + CHUNK - 1, count * 2)
      call('MSET', unpack(to_set, start, last))
      call('ZADD', KEYS[1], unpack(to_list, start, last))
    end
  end
end

-- The first line is the checkpoint; those after it stay.
local function write_changed(key, count, texts)
  for index = 0, count - 1 do
    local line_end = string.find(texts[index], '\n', 1, true)
    local lines = line_end and string.sub(texts[index], line_end) or ''
    call('SET', KEYS[key + index * 2], ARGV[row + 1] .. lines)
    if ARGV[row + 2] ~= '' then
      call('APPEND', KEYS[key + index * 2 + 1], ARGV[row + 2])
    end
    row = row + 3
  end
end

local function write_effects(count, settled_count, lease_ms)
  if count > 0 then
    local claimed_until_ms = 0
    if lease_ms ~= '0' then
      local time = call('TIME')
      claimed_until_ms = time[1] * 1000 + math.floor(time[2] / 1000) + tonumber(lease_ms)
    end
    for index = 0, count - 1 do
      call('ZADD', KEYS[3], claimed_until_ms, ARGV[row + index * 2])
    end
    write_rows(count, 2, 'HSET', KEYS[2])
  end
  local first_settled_row = row
  write_rows(settled_count, 1, 'HDEL', KEYS[2])
  row = first_settled_row
  write_rows(settled_count, 1, 'ZREM', KEYS[3])
end

-- The group and its sets live equally long.
local function write_group(waiters_key, held_key, group_key, value, ttl_ms)
  if ttl_ms ~= '-' then
    call('SET', group_key, value, 'PX', ttl_ms)
    call('PEXPIRE', waiters_key, ttl_ms)
    call('PEXPIRE', held_key, ttl_ms)
    return
  end
  local had_end = call('PTTL', group_key) >= 0
  call('SET', group_key, value)
  if had_end then
    call('PERSIST', waiters_key)
    call('PERSIST', held_key)
  end
end

-- How many keys stand before those of the instances.
local function own_keys(head, group_value)
  return 1 + tonumber(head[2]) + (head[3] == '-' and 0 or group_value == '' and 2 or 4)
end

-- Applies the commit whose keys begin at `key` and whose arguments begin at `first`: `head` are the words of its head, `counts` its numbers of rows.
local function apply(key, first, head, counts)
  local follows = head[2] == '1'
  local expected_version = head[3]
  local has_group = expected_version ~= '-'
  local new_key = key + own_keys(head, ARGV[first + 1])
  local group_keys = key + (follows and 2 or 1)
  local group_key, lease_key, waiters_key, held_key = KEYS[group_keys], KEYS[group_keys + 1], KEYS[group_keys + 2], KEYS[group_keys + 3]
  local changed_key = new_key + counts[1]
  local changed_row = first + HEAD_ROWS + counts[1] * ROW_WIDTHS[1] + counts[2] * ROW_WIDTHS[2]

  local seen = call('MGET', KEYS[key], has_group and lease_key or KEYS[key], follows and KEYS[key + 1] or KEYS[key])
  if seen[1] then
    return 'duplicate'
  end
  if has_group then
    if seen[2] and seen[2] ~= head[1] then
      return 'fenced'
    end
    if expected_version == '0' then
      if call('EXISTS', group_key) > 0 then
        return 'conflict'
      end
    elseif not is_at_version(group_key, expected_version) then
      return 'conflict'
    end
  end
  if follows and not seen[3] then
    return 'conflict'
  end
  if exists_any(new_key, changed_key - 1) then
    return 'conflict'
  end
  local texts = read_changed(changed_key, changed_row, counts[3])
  if not texts then
    return 'conflict'
  end

  -- Nothing below refuses.
  call('SET', KEYS[key], '', 'PX', ARGV[1])
  row = first + HEAD_ROWS
  write_new(new_key, counts[2])
  write_changed(changed_key, counts[3], texts)
  write_effects(counts[4], counts[5], head[5])
  write_rows(counts[6], 2, 'ZADD', KEYS[4])
  write_rows(counts[7], 2, 'ZADD', KEYS[5])
  write_rows(counts[8], 1, 'ZREM', KEYS[4])
  write_rows(counts[9], 1, 'ZREM', KEYS[5])
  if has_group and ARGV[first + 1] ~= '' then
    write_rows(counts[10], 2, 'ZADD', waiters_key, 'NX')
    write_rows(counts[11], 2, 'ZADD', held_key, 'NX')
    write_rows(counts[12], 1, 'ZREM', waiters_key)
    write_rows(counts[13], 1, 'ZREM', held_key)
    write_group(waiters_key, held_key, group_key, ARGV[first + 1], head[4])
  end
  return 'applied'
end

local outcomes = {}
local key = SHARED_KEYS + 1
local first = FIRST_COMMIT
while key <= #KEYS do
  local head = {}
  for word in string.gmatch(ARGV[first], '%S+') do
    head[#head + 1] = word
  end
  local counts = {}
  local row_count = 0
  for kind, width in ipairs(ROW_WIDTHS) do
    counts[kind] = tonumber(head[HEAD_WORDS + kind])
    row_count = row_count + counts[kind] * width
  end
  outcomes[#outcomes + 1] = apply(key, first, head, counts)
  key = key + own_keys(head, ARGV[first + 1]) + counts[1] + counts[3] * 2
  first = first + HEAD_ROWS + row_count
end
return outcomes
