#!lua
-- Applies commits of one partition that were sent together, one after the other: of each everything, or nothing.
-- Redis never rolls a script back, so whatever can refuse or fail comes before the first write: the rights of the user and the time before
-- all commits, and of each commit every comparison and every key's type and size before its own first write. After that only `call` is used,
-- which ends the script aloud.
-- Rows of one kind lie together, and what commits write into keys that they share is gathered and written once, after the last of them:
-- the calls are most of what a commit costs. No check reads what is gathered.
--
-- <keys and arguments> of commit-layout.ts, by `npm run generate`
-- KEYS[1] created: zset: instance id by creation time (ms)
-- KEYS[2] effects: hash: effect id -> "<owner of the claim> <value>", the owner empty while nobody claimed it
-- KEYS[3] claims: zset: effect id by when its claim runs out (ms, server time); never claimed: when it was committed
-- KEYS[4] work_timers: zset: timer of the lane work by due time (ms)
-- KEYS[5] approval_timers: zset: timer of the lane approval by due time (ms)
-- KEYS[6] episodes: hash: policy and alert -> record of its episodes
-- KEYS[7] tallies: hash: group and opening -> "<how many>", then behind each space the id of one of the first
-- KEYS[8] open: zset, all scores 0: "<what it is found under> <creation time, 16 digits>_<instance id>"
-- then for each commit:
--   own: its id: empty string, lives as long as commit ids are remembered
--   before: id of the commit that it follows, refused unless that one was applied (only when it follows one)
--   group: string "<version> <value>" (only with a group)
--   lease: string: owner (only with a group)
--   waiters: zset: instance id by order (only when the group is written and somebody may be in them)
--   held: zset: instance id by order (only when the group is written and somebody may be in them)
--   news: of each new instance: string: a line "<version> <checkpoint>", then the lines of its first commit
--   changed: of each changed instance: the same, and its history: string: the lines since its first commit
--
-- ARGV[1] commit_id_ttl_ms: how long commit ids are remembered, in ms
-- ARGV[2] instance_key_head_bytes: how many bytes of an instance's key stand before its id
-- ARGV[3] tally_sample_count_max: of how many a tally keeps the ids
-- then for each commit:
--   its head, words with a space between them:
--     owner: who commits
--     expected_version: of the group: "-" no group, "0" must not exist
--     ttl_ms: of the group, "-" keep it
--     claim_ms: how long its effects are claimed, 0 by nobody
--   its shape, numbers with a space between them:
--     follows: 1 when it follows a commit, 0 when not
--     group: 0 none, 1 only compared, 2 written and nobody is in its sets, 3 written
--     runs: number of runs of new instances
--     news: number of new instances in all runs
--     changed: number of changed instances
--     open_removed: number of places
--     open_added: number of places
--     new_episodes: number of records
--     changed_episodes: number of records
--     same_episodes: number of records
--     tallies_taken: number of tallies
--     tallies_counted: number of tallies
--     waiters_added: number of members
--     held_added: number of members
--     waiters_removed: number of members
--     held_removed: number of members
--     effects: number of effects
--     settled: number of settled effects
--     work_armed: number of timers
--     approval_armed: number of timers
--     work_cancelled: number of timers
--     approval_cancelled: number of timers
--   the group's new "<version> <value>", "" without a group or when it is only compared
--   rows, all of one kind before the next:
--     runs: count, created_at_ms, body, lines_after_first; behind each its new rows: head, first_line
--     changed: expected, checkpoint, lines
--     open_removed: member
--     open_added: member
--     new_episodes: key, record
--     changed_episodes: key, expected, record
--     same_episodes: key, expected
--     tallies_taken: key, expected
--     tallies_counted: key, change, removed, added
--     waiters_added: order, id
--     held_added: order, id
--     waiters_removed: id
--     held_removed: id
--     effects: id, claimed
--     settled: id
--     work_armed: due_at_ms, member
--     approval_armed: due_at_ms, member
--     work_cancelled: member
--     approval_cancelled: member
--   what a field of a row holds:
--     run.count: how many new instances, which differ in their heads and first lines only
--     run.created_at_ms: creation time in ms
--     run.body: of the checkpoint
--     run.lines_after_first: each behind a "\n" ("-": there is no line at all)
--     new.head: of the checkpoint
--     changed.expected: version, or "<version> <head>"
--     changed.checkpoint: new "<version> <checkpoint>"
--     changed.lines: to append, each ended by a line break
--     changed_episode.expected: the record that was read
--     same_episode.expected: the record that was read, and stays
--     tally_taken.expected: the text that was read, "" when there was none
--     tally_counted.change: how many more
--     tally_counted.removed: ids, a space between them
--     tally_counted.added: the same: as many as may be kept
--     effect.claimed: "<owner of the claim> <value>"
-- </keys and arguments>
--
-- Commands: TIME MGET HMGET GETRANGE EXISTS GET STRLEN TYPE SET MSET APPEND ZADD ZREM HSET HDEL PERSIST PEXPIRE
--
-- Returns for each commit "applied", "duplicate", "fenced", "conflict", or "failed <error>" when one of its keys holds something else

-- Globals cost a search each.
local call, pcall, KEYS, ARGV = redis.call, redis.pcall, KEYS, ARGV
local find, sub, tonumber, unpack = string.find, string.sub, tonumber, unpack
-- Lua's stack holds some thousand values.
local CHUNK = 500
-- Half of what a server takes for one text unless it is told otherwise.
local HISTORY_BYTES_MAX = 256 * 1024 * 1024

-- <names> of commit-layout.ts, by `npm run generate`
local SHARED_KEY = { created = 1, effects = 2, claims = 3, work_timers = 4, approval_timers = 5, episodes = 6, tallies = 7, open = 8 }
local SHARED_ARGUMENT = { commit_id_ttl_ms = 1, instance_key_head_bytes = 2, tally_sample_count_max = 3 }
local FIRST_KEY, FIRST_ARGUMENT = 9, 4
-- Where a field lies in its row.
local ROW = {
  run = { width = 4, count = 0, created_at_ms = 1, body = 2, lines_after_first = 3 },
  new = { width = 2, head = 0, first_line = 1 },
  changed = { width = 3, expected = 0, checkpoint = 1, lines = 2 },
  open = { width = 1, member = 0 },
  new_episode = { width = 2, key = 0, record = 1 },
  changed_episode = { width = 3, key = 0, expected = 1, record = 2 },
  same_episode = { width = 2, key = 0, expected = 1 },
  tally_taken = { width = 2, key = 0, expected = 1 },
  tally_counted = { width = 4, key = 0, change = 1, removed = 2, added = 3 },
  member_added = { width = 2, order = 0, id = 1 },
  member_removed = { width = 1, id = 0 },
  effect = { width = 2, id = 0, claimed = 1 },
  settled = { width = 1, id = 0 },
  timer_armed = { width = 2, due_at_ms = 0, member = 1 },
  timer_cancelled = { width = 1, member = 0 },
}
-- The head, the shape and the group's value.
local HEAD_WIDTH = 3
local HEAD = '^' .. string.rep('(%S+) ', 3) .. '(%S+)$'
local function head_of(text)
  local owner, expected_version, ttl_ms, claim_ms = string.match(text, HEAD)
  return {
    owner = owner,
    expected_version = expected_version,
    ttl_ms = ttl_ms,
    claim_ms = claim_ms,
  }
end
local SHAPE = '^' .. string.rep('(%S+) ', 21) .. '(%S+)$'
local function shape_of(text)
  local follows, group, runs, news, changed, open_removed, open_added, new_episodes, changed_episodes,
    same_episodes, tallies_taken, tallies_counted, waiters_added, held_added, waiters_removed,
    held_removed, effects, settled, work_armed, approval_armed, work_cancelled, approval_cancelled = string.match(text, SHAPE)
  return {
    follows = follows,
    group = group,
    runs = runs,
    news = news,
    changed = changed,
    open_removed = open_removed,
    open_added = open_added,
    new_episodes = new_episodes,
    changed_episodes = changed_episodes,
    same_episodes = same_episodes,
    tallies_taken = tallies_taken,
    tallies_counted = tallies_counted,
    waiters_added = waiters_added,
    held_added = held_added,
    waiters_removed = waiters_removed,
    held_removed = held_removed,
    effects = effects,
    settled = settled,
    work_armed = work_armed,
    approval_armed = approval_armed,
    work_cancelled = work_cancelled,
    approval_cancelled = approval_cancelled,
  }
end
-- How many arguments all rows of a shape are.
local function rows_width(shape)
  return shape.runs * 4 + shape.news * 2 + shape.changed * 3 + shape.open_removed * 1 +
    shape.open_added * 1 + shape.new_episodes * 2 + shape.changed_episodes * 3 +
    shape.same_episodes * 2 + shape.tallies_taken * 2 + shape.tallies_counted * 4 +
    shape.waiters_added * 2 + shape.held_added * 2 + shape.waiters_removed * 1 +
    shape.held_removed * 1 + shape.effects * 2 + shape.settled * 1 + shape.work_armed * 2 +
    shape.approval_armed * 2 + shape.work_cancelled * 1 + shape.approval_cancelled * 1
end
-- </names>

local RUN, NEW, CHANGED = ROW.run, ROW.new, ROW.changed
local episodes_key, open_key = KEYS[SHARED_KEY.episodes], KEYS[SHARED_KEY.open]
local tallies_key = KEYS[SHARED_KEY.tallies]
local created_key, effects_key, claims_key = KEYS[SHARED_KEY.created], KEYS[SHARED_KEY.effects], KEYS[SHARED_KEY.claims]
local timer_keys = { work = KEYS[SHARED_KEY.work_timers], approval = KEYS[SHARED_KEY.approval_timers] }

local time = call('TIME')
local now_ms = time[1] * 1000 + math.floor(time[2] / 1000)

-- What the commits write into the keys that they share: rows of new instances, and of the other keys, by member, what it will hold,
-- false when it will be gone. The last commit that names a member decides.
local created, open, effects, claims, timers = {}, {}, {}, {}, { work = {}, approval = {} }

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
  write_all('ZADD', created_key, created)
  write_changes(open_key, open, 'ZADD', 'ZREM')
  write_changes(effects_key, effects, 'HSET', 'HDEL')
  write_changes(claims_key, claims, 'ZADD', 'ZREM')
  write_changes(timer_keys.work, timers.work, 'ZADD', 'ZREM')
  write_changes(timer_keys.approval, timers.approval, 'ZADD', 'ZREM')
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
  if put_count == 0 and gone_count == 0 then
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

-- When a claim that begins now runs out. What nobody has claimed is free from now on: it comes behind what has waited longer.
local function claim_end_ms(claim_ms)
  return now_ms + tonumber(claim_ms)
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
    local expected = ARGV[at + index * CHANGED.width + CHANGED.expected] .. ' '
    if not text or sub(text, 1, #expected) ~= expected then
      return nil
    end
    texts[index] = text
  end
  return texts
end

-- Is each record of an episode as the commit expects it? Rows of new ones, which must be missing, lie before those of changed ones, and
-- those that only are compared behind them.
local function are_expected(at, new_count, changed_count, same_count)
  local NEW_EPISODE, CHANGED_EPISODE, SAME_EPISODE = ROW.new_episode, ROW.changed_episode, ROW.same_episode
  local keys, expected = {}, {}
  for index = 1, new_count do
    keys[index], expected[index] = ARGV[at + NEW_EPISODE.key], false
    at = at + NEW_EPISODE.width
  end
  for index = new_count + 1, new_count + changed_count do
    keys[index], expected[index] = ARGV[at + CHANGED_EPISODE.key], ARGV[at + CHANGED_EPISODE.expected]
    at = at + CHANGED_EPISODE.width
  end
  for index = new_count + changed_count + 1, new_count + changed_count + same_count do
    keys[index], expected[index] = ARGV[at + SAME_EPISODE.key], ARGV[at + SAME_EPISODE.expected]
    at = at + SAME_EPISODE.width
  end
  for from = 1, #keys, CHUNK do
    local last = math.min(from + CHUNK - 1, #keys)
    local records = read('HMGET', episodes_key, unpack(keys, from, last))
    if not records then
      return false
    end
    for index = from, last do
      if records[index - from + 1] ~= expected[index] then
        return false
      end
    end
  end
  return true
end

-- Is each tally that is taken as the commit expects it?
local function are_tallies_expected(at, count)
  local TAKEN = ROW.tally_taken
  for _ = 1, count do
    local stored = read('HMGET', tallies_key, ARGV[at + TAKEN.key])
    if not stored or (stored[1] or '') ~= ARGV[at + TAKEN.expected] then
      return false
    end
    at = at + TAKEN.width
  end
  return true
end

-- Where rows are taken from; what takes some moves it past them.
local row

-- Puts the texts of new instances together, and sets them. An instance's id is the end of its key.
local function write_new(key, run_count)
  local id_at = ARGV[SHARED_ARGUMENT.instance_key_head_bytes] + 1
  for _ = 1, run_count do
    local count, created_at_ms = tonumber(ARGV[row + RUN.count]), ARGV[row + RUN.created_at_ms]
    local body, lines_after_first = ' ' .. ARGV[row + RUN.body], ARGV[row + RUN.lines_after_first]
    row = row + RUN.width
    local texts = {}
    for index = 1, count do
      local instance_key, text = KEYS[key], '1 ' .. ARGV[row + NEW.head] .. body
      if lines_after_first ~= '-' then
        text = text .. '\n' .. ARGV[row + NEW.first_line] .. lines_after_first
      end
      texts[index * 2 - 1] = instance_key
      texts[index * 2] = text
      created[#created + 1] = created_at_ms
      created[#created + 1] = sub(instance_key, id_at)
      key = key + 1
      row = row + NEW.width
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
    call('SET', KEYS[key + index * 2], ARGV[row + CHANGED.checkpoint] .. lines)
    if ARGV[row + CHANGED.lines] ~= '' then
      call('APPEND', KEYS[key + index * 2 + 1], ARGV[row + CHANGED.lines])
    end
    row = row + CHANGED.width
  end
end

local function gather_open(removed_count, added_count)
  local OPEN = ROW.open
  for index = 1, removed_count + added_count do
    open[ARGV[row + OPEN.member]] = index > removed_count and '0'
    row = row + OPEN.width
  end
end

-- At once, not gathered: the commits behind this one compare them.
local function write_episodes(new_count, changed_count, same_count)
  local NEW_EPISODE, CHANGED_EPISODE = ROW.new_episode, ROW.changed_episode
  local rows = {}
  for _ = 1, new_count do
    rows[#rows + 1], rows[#rows + 2] = ARGV[row + NEW_EPISODE.key], ARGV[row + NEW_EPISODE.record]
    row = row + NEW_EPISODE.width
  end
  for _ = 1, changed_count do
    rows[#rows + 1], rows[#rows + 2] = ARGV[row + CHANGED_EPISODE.key], ARGV[row + CHANGED_EPISODE.record]
    row = row + CHANGED_EPISODE.width
  end
  row = row + same_count * ROW.same_episode.width
  write_all('HSET', episodes_key, rows)
end

-- A tally's text with a change.
local function counted(text, change, removed, added)
  local number, sample = string.match(text, '^(%-?%d+)(.*)$')
  for id in string.gmatch(removed, '%S+') do
    local first, last = find(sample .. ' ', ' ' .. id .. ' ', 1, true)
    while first do
      sample = sub(sample, 1, first - 1) .. sub(sample, last)
      first, last = find(sample .. ' ', ' ' .. id .. ' ', 1, true)
    end
  end
  local _, size = string.gsub(sample, ' ', '')
  for id in string.gmatch(added, '%S+') do
    if size >= tonumber(ARGV[SHARED_ARGUMENT.tally_sample_count_max]) then
      break
    end
    sample, size = sample .. ' ' .. id, size + 1
  end
  return string.format('%d', number + change) .. sample
end

-- At once, like episodes.
local function write_tallies(taken_count, counted_count)
  local TAKEN, COUNTED = ROW.tally_taken, ROW.tally_counted
  for _ = 1, taken_count do
    call('HDEL', tallies_key, ARGV[row + TAKEN.key])
    row = row + TAKEN.width
  end
  for _ = 1, counted_count do
    local key, change = ARGV[row + COUNTED.key], tonumber(ARGV[row + COUNTED.change])
    local text = call('HMGET', tallies_key, key)[1] or '0'
    call('HSET', tallies_key, key, counted(text, change, ARGV[row + COUNTED.removed], ARGV[row + COUNTED.added]))
    row = row + COUNTED.width
  end
end

local function gather_effects(count, settled_count, claim_ms)
  local EFFECT, SETTLED = ROW.effect, ROW.settled
  for _ = 1, count do
    local id = ARGV[row + EFFECT.id]
    effects[id] = ARGV[row + EFFECT.claimed]
    claims[id] = claim_end_ms(claim_ms)
    row = row + EFFECT.width
  end
  for _ = 1, settled_count do
    local id = ARGV[row + SETTLED.id]
    effects[id] = false
    claims[id] = false
    row = row + SETTLED.width
  end
end

local function gather_armed(changes, count)
  local ARMED = ROW.timer_armed
  for _ = 1, count do
    changes[ARGV[row + ARMED.member]] = ARGV[row + ARMED.due_at_ms]
    row = row + ARMED.width
  end
end

local function gather_cancelled(changes, count)
  local CANCELLED = ROW.timer_cancelled
  for _ = 1, count do
    changes[ARGV[row + CANCELLED.member]] = false
    row = row + CANCELLED.width
  end
end

-- Members of a set of the group; a row of them lies as the command takes it.
local function write_members(count, kind, command, key, option)
  if count == 0 then
    return
  end
  local last = row + count * kind.width - 1
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
local function write_group(commit)
  local group_key, ttl_ms = commit.group_key, commit.ttl_ms
  local waiters_key, held_key = commit.waiters_key, commit.held_key
  local has_sets = waiters_key and call('EXISTS', waiters_key, held_key) > 0
  if ttl_ms == '-' then
    call('SET', group_key, commit.group_value)
    if has_sets then
      call('PERSIST', waiters_key)
      call('PERSIST', held_key)
    end
    return
  end
  call('SET', group_key, commit.group_value, 'PX', ttl_ms)
  if has_sets then
    call('PEXPIRE', waiters_key, ttl_ms)
    call('PEXPIRE', held_key, ttl_ms)
  end
end

-- Shapes that this script has met, by their text.
local shapes = {}

-- What all commits of a shape have in common: its numbers, and how far behind a commit's first key and first argument its parts begin.
local function read_shape(text)
  local shape = shape_of(text)
  for name, number in pairs(shape) do
    shape[name] = tonumber(number)
  end
  shape.group_at = 1 + shape.follows
  shape.new_at = shape.group_at + (shape.group == 0 and 0 or shape.group == 3 and 4 or 2)
  shape.changed_at = shape.new_at + shape.news
  shape.next_key = shape.changed_at + shape.changed * 2
  shape.changed_row = HEAD_WIDTH + shape.runs * RUN.width + shape.news * NEW.width
  shape.episode_row = shape.changed_row + shape.changed * CHANGED.width + (shape.open_removed + shape.open_added) * ROW.open.width
  shape.tally_row = shape.episode_row + shape.new_episodes * ROW.new_episode.width
    + shape.changed_episodes * ROW.changed_episode.width + shape.same_episodes * ROW.same_episode.width
  shape.next_first = HEAD_WIDTH + rows_width(shape)
  return shape
end

-- The commit that is looked at: what its head says, and where its keys and rows begin.
local function commit_at(key, first)
  local commit, text = head_of(ARGV[first]), ARGV[first + 1]
  local shape = shapes[text]
  if not shape then
    shape = read_shape(text)
    shapes[text] = shape
  end
  commit.shape = shape
  commit.group_value = ARGV[first + 2]
  commit.own_key = KEYS[key]
  if shape.follows == 1 then
    commit.before_key = KEYS[key + 1]
  end
  if shape.group > 0 then
    local group_at = key + shape.group_at
    commit.group_key, commit.lease_key = KEYS[group_at], KEYS[group_at + 1]
    if shape.group == 3 then
      commit.waiters_key, commit.held_key = KEYS[group_at + 2], KEYS[group_at + 3]
    end
  end
  commit.new_at, commit.changed_at, commit.next_key = key + shape.new_at, key + shape.changed_at, key + shape.next_key
  commit.first_row, commit.next_first = first + HEAD_WIDTH, first + shape.next_first
  commit.first_changed_row, commit.first_episode_row = first + shape.changed_row, first + shape.episode_row
  commit.first_tally_row = first + shape.tally_row
  return commit
end

-- Do the keys that all commits share hold what a commit of this shape writes into them?
local function check_types(shape)
  check_type(created_key, 'zset', shape.news, 0)
  check_type(tallies_key, 'hash', shape.tallies_counted, shape.tallies_taken)
  check_type(open_key, 'zset', shape.open_added, shape.open_removed)
  check_type(effects_key, 'hash', shape.effects, shape.settled)
  check_type(claims_key, 'zset', shape.effects, shape.settled)
  check_type(timer_keys.work, 'zset', shape.work_armed, shape.work_cancelled)
  check_type(timer_keys.approval, 'zset', shape.approval_armed, shape.approval_cancelled)
end

-- Why a commit is not applied; nothing: it is, and `commit.texts` are those of its changed instances. Writes nothing.
local function refusal_of(commit)
  failure = nil
  local shape, group_key, expected_version = commit.shape, commit.group_key, commit.expected_version
  local seen = call('MGET', commit.own_key, commit.before_key or commit.own_key, commit.lease_key or commit.own_key)
  if seen[1] then
    return 'duplicate'
  end
  if group_key and seen[3] and seen[3] ~= commit.owner then
    return 'fenced'
  end
  if commit.before_key and not seen[2] then
    return 'conflict'
  end
  if group_key and expected_version ~= '0' then
    if read('GETRANGE', group_key, 0, #expected_version) ~= expected_version .. ' ' then
      return failure and 'failed ' .. failure or 'conflict'
    end
  end
  if exists_any(commit.new_at, commit.changed_at - 1, expected_version == '0' and group_key) then
    return 'conflict'
  end
  local texts = read_changed(commit.changed_at, commit.first_changed_row, shape.changed)
  if not texts then
    return failure and 'failed ' .. failure or 'conflict'
  end
  commit.texts = texts
  if not are_expected(commit.first_episode_row, shape.new_episodes, shape.changed_episodes, shape.same_episodes) then
    return failure and 'failed ' .. failure or 'conflict'
  end
  if not are_tallies_expected(commit.first_tally_row, shape.tallies_taken) then
    return failure and 'failed ' .. failure or 'conflict'
  end
  for index = 0, shape.changed - 1 do
    local lines = ARGV[commit.first_changed_row + index * CHANGED.width + CHANGED.lines]
    check_history(KEYS[commit.changed_at + index * 2 + 1], lines)
  end
  if commit.waiters_key then
    check_type(commit.waiters_key, 'zset', shape.waiters_added, shape.waiters_removed)
    check_type(commit.held_key, 'zset', shape.held_added, shape.held_removed)
  end
  check_types(shape)
  return failure and 'failed ' .. failure
end

-- Writes a commit that nothing refuses; takes its rows in the order of the layout.
local function write_commit(commit)
  local shape = commit.shape
  row = commit.first_row
  write_new(commit.new_at, shape.runs)
  write_changed(commit.changed_at, shape.changed, commit.texts)
  gather_open(shape.open_removed, shape.open_added)
  write_episodes(shape.new_episodes, shape.changed_episodes, shape.same_episodes)
  write_tallies(shape.tallies_taken, shape.tallies_counted)
  write_members(shape.waiters_added, ROW.member_added, 'ZADD', commit.waiters_key, 'NX')
  write_members(shape.held_added, ROW.member_added, 'ZADD', commit.held_key, 'NX')
  write_members(shape.waiters_removed, ROW.member_removed, 'ZREM', commit.waiters_key)
  write_members(shape.held_removed, ROW.member_removed, 'ZREM', commit.held_key)
  if shape.group > 1 then
    write_group(commit)
  end
  gather_effects(shape.effects, shape.settled, commit.claim_ms)
  gather_armed(timers.work, shape.work_armed)
  gather_armed(timers.approval, shape.approval_armed)
  gather_cancelled(timers.work, shape.work_cancelled)
  gather_cancelled(timers.approval, shape.approval_cancelled)
  call('SET', commit.own_key, '', 'PX', ARGV[SHARED_ARGUMENT.commit_id_ttl_ms])
end

local outcomes = {}
local next_key, next_first = FIRST_KEY, FIRST_ARGUMENT
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
