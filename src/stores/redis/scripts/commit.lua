#!lua
-- Applies commits of one partition that were sent together, one after the other: of each everything, or nothing.
-- Redis never rolls a script back, so whatever can refuse or fail comes before the first write: the rights of the user and the time before
-- all commits, and of each commit every comparison and every key's type and size before its own first write. After that only `call` is used,
-- which ends the script aloud.
-- Rows of one kind lie together, and what commits write into keys that they share is gathered and written once, after the last of them:
-- the calls are most of what a commit costs. No check reads what is gathered.
--
-- KEYS[1]  created                zset: instance id by creation time (ms)
-- KEYS[2]  effects                hash: effect id -> "<owner of the claim> <value>", the owner empty while nobody claimed it
-- KEYS[3]  claims                 zset: effect id by when its claim runs out (ms, server time); 0 never claimed
-- KEYS[4]  timers, lane work      zset: timer by due time (ms)
-- KEYS[5]  timers, lane approval  zset: timer by due time (ms)
-- KEYS[6]  episodes               hash: policy and alert -> record of its episodes
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
--     numbers: new instances, runs of them, changed instances, new episodes, changed episodes,
--       members added to waiters, to held, removed from waiters, from held, effects, settled effects,
--       timers armed in work, in approval, cancelled in work, in approval
--   the group's new "<version> <value>", "" without a group or when it is only compared
--   the rows, all of one kind before the next, in that order:
--     run of new instances, which differ in their heads and first lines only:
--                        how many, creation time in ms, body of the checkpoint,
--                        lines after the first, each behind a "\n" ("-": there is no line at all);
--                        then for each: head of the checkpoint, first line
--     changed instance:  expected version, or "<version> <head>", new "<version> <checkpoint>", lines to append
--     new episode:       key, record
--     changed episode:   key, expected record, record
--     added member:      order, id
--     removed member:    id
--     effect:            id, "<owner of the claim> <value>"
--     settled effect:    id
--     armed timer:       due time in ms, member
--     cancelled timer:   member
--
-- Commands: TIME MGET HMGET GETRANGE EXISTS GET STRLEN TYPE SET MSET APPEND ZADD ZREM HSET HDEL PERSIST PEXPIRE
--
-- Returns for each commit "applied", "duplicate", "fenced", "conflict", or "failed <error>" when one of its keys holds something else

-- Globals cost a search each.
local call, pcall, KEYS, ARGV = redis.call, redis.pcall, KEYS, ARGV
local find, match, sub, tonumber, unpack = string.find, string.match, string.sub, tonumber, unpack
local SHARED_KEYS = 6
local FIRST_COMMIT = 3
local HEAD = '^' .. string.rep('(%S+) ', 20) .. '(%S+)$'
local HEAD_ROWS = 2
-- Of a new instance, and of what a run of them has in common.
local NEW_WIDTH, RUN_WIDTH = 2, 4
-- Lua's stack holds some thousand values.
local CHUNK = 500
-- Half of what a server takes for one text unless it is told otherwise.
local HISTORY_BYTES_MAX = 256 * 1024 * 1024

local time = call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- What the commits write into the keys that they share: rows of new instances, and of the other keys, by member, what it will hold,
-- false when it will be gone. The last commit that names a member decides.
local created, effects, claims, timers = {}, {}, {}, { {}, {} }

local function write_all(command, key, values)
  for from = 1, #values, CHUNK do
    call(command, key, unpack(values, from, math.min(from + CHUNK - 1, #values)))
  end
end

-- A sorted set takes score and member, a hash field and value.
local function write_changes(key, changes, put_command, gone_command)
  local put, gone = {}, {}
  for member, value in pairs(changes) do
    if not value then
      gone[#gone + 1] = member
    elseif put_command == 'ZADD' then
      put[#put + 1], put[#put + 2] = value, member
    else
      put[#put + 1], put[#put + 2] = member, value
    end
  end
  write_all(put_command, key, put)
  write_all(gone_command, key, gone)
end

local function write_gathered()
  write_all('ZADD', KEYS[1], created)
  write_changes(KEYS[2], effects, 'HSET', 'HDEL')
  write_changes(KEYS[3], claims, 'ZADD', 'ZREM')
  write_changes(KEYS[4], timers[1], 'ZADD', 'ZREM')
  write_changes(KEYS[5], timers[2], 'ZADD', 'ZREM')
end

local seen_types = {}

-- Why the commit that is being checked cannot be applied at all: the first error of its reads and types. It concerns this commit alone.
local failure

-- A read of a check.
local function read(...)
  local reply = pcall(...)
  if type(reply) == 'table' and reply.err then
    failure = failure or reply.err
    return nil
  end
  return reply
end

-- A key that a commit has rows of either kind for must hold `wanted`, or nothing. It is looked at once a script.
local function check_type(key, wanted, put_count, gone_count)
  if put_count == '0' and gone_count == '0' then
    return
  end
  if not seen_types[key] then
    seen_types[key] = call('TYPE', key).ok
  end
  if seen_types[key] ~= wanted and seen_types[key] ~= 'none' then
    failure = failure or 'WRONGTYPE ' .. key .. ' is not a ' .. wanted
  end
end

-- A history must be a text that has room for what is appended.
local function check_history(key, appended)
  local size = read('STRLEN', key)
  if size and size + #appended > HISTORY_BYTES_MAX then
    failure = failure or 'ERR ' .. key .. ' would exceed ' .. HISTORY_BYTES_MAX .. ' bytes'
  end
end

-- When a claim that begins now runs out.
local function claim_end_ms(lease_ms)
  return lease_ms == '0' and '0' or now_ms + tonumber(lease_ms)
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

-- The texts of changed instances as they are stored, or nil when one is not what the commit expects.
local function read_changed(key, at, count)
  local texts = {}
  for index = 0, count - 1 do
    local text = read('GET', KEYS[key + index * 2])
    local expected = ARGV[at + index * 3] .. ' '
    if not text or sub(text, 1, #expected) ~= expected then
      return nil
    end
    texts[index] = text
  end
  return texts
end

-- Are the records of episodes as the commit expects them? Those of new ones are missing.
local function are_expected(at, new_count, changed_count)
  local count = new_count + changed_count
  local changed_at = at + new_count * 2
  for from = 0, count - 1, CHUNK do
    local last = math.min(from + CHUNK, count) - 1
    local keys = {}
    for index = from, last do
      keys[#keys + 1] = ARGV[index < new_count and at + index * 2 or changed_at + (index - new_count) * 3]
    end
    local records = read('HMGET', KEYS[6], unpack(keys))
    if not records then
      return false
    end
    for index = from, last do
      local expected = index >= new_count and ARGV[changed_at + (index - new_count) * 3 + 1]
      if records[index - from + 1] ~= expected then
        return false
      end
    end
  end
  return true
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

-- At once, not gathered: the commits behind this one compare them.
local function write_episodes(new_count, changed_count)
  local rows = {}
  for index = 0, new_count + changed_count - 1 do
    local is_new = index < new_count
    rows[#rows + 1], rows[#rows + 2] = ARGV[row], ARGV[row + (is_new and 1 or 2)]
    row = row + (is_new and 2 or 3)
  end
  write_all('HSET', KEYS[6], rows)
end

local function gather_effects(count, settled_count, lease_ms)
  for _ = 1, count do
    effects[ARGV[row]] = ARGV[row + 1]
    claims[ARGV[row]] = claim_end_ms(lease_ms)
    row = row + 2
  end
  for _ = 1, settled_count do
    effects[ARGV[row]] = false
    claims[ARGV[row]] = false
    row = row + 1
  end
end

local function gather_armed(lane, count)
  for _ = 1, count do
    timers[lane][ARGV[row + 1]] = ARGV[row]
    row = row + 2
  end
end

local function gather_cancelled(lane, count)
  for _ = 1, count do
    timers[lane][ARGV[row]] = false
    row = row + 1
  end
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

-- The commit that is looked at: where its keys and rows begin, and its numbers.
local function commit_at(key, first)
  local owner, is_following, expected_version, ttl_ms, lease_ms, row_count, new_count, run_count, changed_count,
    new_episodes, changed_episodes, waiters_added, held_added, waiters_removed, held_removed, effect_count, settled_count,
    armed_work, armed_approval, cancelled_work, cancelled_approval = match(ARGV[first], HEAD)
  local group_value = ARGV[first + 1]
  local has_group, is_written = expected_version ~= '-', group_value ~= ''
  local group_at = key + 1 + is_following
  local new_key = group_at + (has_group and (is_written and 4 or 2) or 0)
  local changed_key = new_key + new_count
  local first_row = first + HEAD_ROWS
  local changed_row = first_row + new_count * NEW_WIDTH + run_count * RUN_WIDTH
  return {
    key = key,
    owner = owner,
    is_following = is_following == '1',
    follows_key = KEYS[group_at - 1],
    has_group = has_group,
    is_written = is_written,
    group_value = group_value,
    group_key = KEYS[group_at],
    lease_key = KEYS[group_at + 1],
    waiters_key = KEYS[group_at + 2],
    held_key = KEYS[group_at + 3],
    expected_version = expected_version,
    ttl_ms = ttl_ms,
    lease_ms = lease_ms,
    new_key = new_key,
    new_count = new_count,
    run_count = run_count,
    changed_key = changed_key,
    changed_count = changed_count,
    waiters_added = waiters_added,
    held_added = held_added,
    waiters_removed = waiters_removed,
    held_removed = held_removed,
    effect_count = effect_count,
    settled_count = settled_count,
    armed = { armed_work, armed_approval },
    cancelled = { cancelled_work, cancelled_approval },
    first_row = first_row,
    changed_row = changed_row,
    new_episodes = tonumber(new_episodes),
    changed_episodes = tonumber(changed_episodes),
    episode_row = changed_row + changed_count * 3,
    next_key = changed_key + changed_count * 2,
    next_first = first_row + row_count,
  }
end

-- Why a commit is not applied; nothing: it is, and `commit.texts` are those of its changed instances. Writes nothing.
local function refusal_of(commit)
  failure = nil
  local has_group, group_key, expected_version = commit.has_group, commit.group_key, commit.expected_version
  local own_key = KEYS[commit.key]
  local seen = call('MGET', own_key, commit.follows_key, has_group and commit.lease_key or own_key)
  if seen[1] then
    return 'duplicate'
  end
  if has_group and seen[3] and seen[3] ~= commit.owner then
    return 'fenced'
  end
  if commit.is_following and not seen[2] then
    return 'conflict'
  end
  if has_group and expected_version ~= '0' then
    if read('GETRANGE', group_key, 0, #expected_version) ~= expected_version .. ' ' then
      return failure and 'failed ' .. failure or 'conflict'
    end
  end
  if exists_any(commit.new_key, commit.changed_key - 1, expected_version == '0' and group_key) then
    return 'conflict'
  end
  local texts = read_changed(commit.changed_key, commit.changed_row, commit.changed_count)
  if not texts then
    return failure and 'failed ' .. failure or 'conflict'
  end
  commit.texts = texts
  if not are_expected(commit.episode_row, commit.new_episodes, commit.changed_episodes) then
    return failure and 'failed ' .. failure or 'conflict'
  end
  for index = 0, commit.changed_count - 1 do
    check_history(KEYS[commit.changed_key + index * 2 + 1], ARGV[commit.changed_row + index * 3 + 2])
  end
  if commit.is_written then
    check_type(commit.waiters_key, 'zset', commit.waiters_added, commit.waiters_removed)
    check_type(commit.held_key, 'zset', commit.held_added, commit.held_removed)
  end
  check_type(KEYS[1], 'zset', commit.new_count, '0')
  check_type(KEYS[2], 'hash', commit.effect_count, commit.settled_count)
  check_type(KEYS[3], 'zset', commit.effect_count, commit.settled_count)
  check_type(KEYS[4], 'zset', commit.armed[1], commit.cancelled[1])
  check_type(KEYS[5], 'zset', commit.armed[2], commit.cancelled[2])
  return failure and 'failed ' .. failure
end

-- Writes a commit that nothing refuses.
local function write_commit(commit)
  row = commit.first_row
  write_new(commit.new_key, commit.run_count)
  write_changed(commit.changed_key, commit.changed_count, commit.texts)
  write_episodes(commit.new_episodes, commit.changed_episodes)
  if commit.is_written then
    local waiters_key, held_key = commit.waiters_key, commit.held_key
    write_members(commit.waiters_added, 2, 'ZADD', waiters_key, 'NX')
    write_members(commit.held_added, 2, 'ZADD', held_key, 'NX')
    write_members(commit.waiters_removed, 1, 'ZREM', waiters_key)
    write_members(commit.held_removed, 1, 'ZREM', held_key)
    write_group(waiters_key, held_key, commit.group_key, commit.group_value, commit.ttl_ms)
  end
  gather_effects(commit.effect_count, commit.settled_count, commit.lease_ms)
  gather_armed(1, commit.armed[1])
  gather_armed(2, commit.armed[2])
  gather_cancelled(1, commit.cancelled[1])
  gather_cancelled(2, commit.cancelled[2])
  call('SET', KEYS[commit.key], '', 'PX', ARGV[1])
end

local outcomes = {}
local next_key, next_first = SHARED_KEYS + 1, FIRST_COMMIT
while next_key <= #KEYS do
  local commit = commit_at(next_key, next_first)
  local refusal = refusal_of(commit)
  if not refusal then
    write_commit(commit)
  end
  outcomes[#outcomes + 1] = refusal or 'applied'
  next_key, next_first = commit.next_key, commit.next_first
end
write_gathered()
return outcomes
