#!lua
-- Applies one commit of a detection stream: everything of it, or nothing.
-- All that is compared is read before the first write, because Redis never rolls a script back.
--
-- KEYS[1] head          string "<version> <id of the last commit> <alerts that are gone> <audit events that are gone>"
-- KEYS[2] pieces        hash: name -> value
-- KEYS[3] alerts        list, the oldest that is kept first
-- KEYS[4] audit events  list, the oldest that is kept first
-- then three keys a strategy group: STRATEGY_CHECKPOINT (string: s), ACCESS_RUN_TIMESTAMP (string: ms),
--   ACCESS_DUPLICATE (zset: record id by data time, s);
-- then LAST_CHECKPOINTS of each strategy (hash: series and level -> s);
-- then CHECK_RESULT of each series and level (zset: result by data time, s)
--
-- ARGV[1] expected version, "0" the stream must not exist
-- ARGV[2] commit id
-- ARGV[3] time of the commit in ms
-- ARGV[4..7] lives in ms of: STRATEGY_CHECKPOINT, ACCESS_RUN_TIMESTAMP, LAST_CHECKPOINTS, CHECK_RESULT
-- ARGV[8..14] numbers of: pieces put, pieces removed, alerts, audit events, groups, strategies, lists of check results
-- ARGV[15] how many alerts and how many audit events to keep, "" all
-- then, all of one kind before the next, in that order:
--   piece put:      name, value
--   piece removed:  name
--   alert, audit event: text
--   group:          newest time ("" none), forget record ids before ("" none), their life in ms, number of record ids;
--                   then for each: time, record id
--   strategy:       number of fields; then for each: field, time
--   check results:  how many to keep, number of rows; then for each: time, text
--
-- Commands: GET HMGET TYPE LLEN SET HSET HDEL RPUSH LTRIM ZADD ZREMRANGEBYSCORE ZREMRANGEBYRANK PEXPIRE
--
-- Returns "applied", "duplicate" or "conflict"
local call = redis.call
local FIRST_ROW = 16
-- Lua's stack holds some thousand values; an even number, so that pairs stay together.
local CHUNK = 500

local head = call('GET', KEYS[1])
local version, gone_alerts, gone_audit = '0', 0, 0
if head then
  local stored_version, last_commit, alerts, audit = string.match(head, '^(%S+) (%S+) ?(%S*) ?(%S*)$')
  version = stored_version
  gone_alerts, gone_audit = tonumber(alerts) or 0, tonumber(audit) or 0
  if last_commit == ARGV[2] then
    return 'duplicate'
  end
end
if version ~= ARGV[1] then
  return 'conflict'
end

local put_count, removed_count = tonumber(ARGV[8]), tonumber(ARGV[9])
local alert_count, audit_count = tonumber(ARGV[10]), tonumber(ARGV[11])
local group_count, strategy_count, result_count = tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14])
local first_group_key = 5
local first_strategy_key = first_group_key + group_count * 3
local first_result_key = first_strategy_key + strategy_count

-- Reading: where the rows of each part begin, and which checkpoints rise.
local row = FIRST_ROW + put_count * 2 + removed_count + alert_count + audit_count
local first_group_row = row
local newest = {}
for group = 0, group_count - 1 do
  local stored = tonumber(call('GET', KEYS[first_group_key + group * 3]) or '')
  local given = tonumber(ARGV[row])
  newest[group] = given and math.max(given, stored or given)
  row = row + 4 + tonumber(ARGV[row + 3]) * 2
end
local raised = {}
for strategy = 0, strategy_count - 1 do
  local key = KEYS[first_strategy_key + strategy]
  local last = row + tonumber(ARGV[row]) * 2
  local pairs_to_set = {}
  for start = row + 1, last, CHUNK do
    local fields = {}
    for at = start, math.min(start + CHUNK - 1, last), 2 do
      fields[#fields + 1] = ARGV[at]
    end
    local stored = call('HMGET', key, unpack(fields))
    for index = 1, #fields do
      local time = ARGV[start + index * 2 - 1]
      local standing = stored[index] and tonumber(stored[index])
      if not standing or standing < tonumber(time) then
        pairs_to_set[#pairs_to_set + 1] = fields[index]
        pairs_to_set[#pairs_to_set + 1] = time
      end
    end
  end
  raised[strategy] = pairs_to_set
  row = last + 1
end
local first_result_row = row

-- Every key that is written must be of its type, or missing.
local function require_type(key, wanted)
  local found = call('TYPE', key).ok
  if found ~= wanted and found ~= 'none' then
    error({ err = 'WRONGTYPE ' .. key .. ' is not a ' .. wanted })
  end
end
require_type(KEYS[2], 'hash')
require_type(KEYS[3], 'list')
require_type(KEYS[4], 'list')
for group = 0, group_count - 1 do
  require_type(KEYS[first_group_key + group * 3 + 2], 'zset')
end
for result = 0, result_count - 1 do
  require_type(KEYS[first_result_key + result], 'zset')
end

-- Nothing below refuses or fails.
-- Calls `command` with ARGV[from..to], some at a time.
local function write_rows(command, key, from, to)
  for start = from, to, CHUNK do
    call(command, key, unpack(ARGV, start, math.min(start + CHUNK - 1, to)))
  end
end

row = FIRST_ROW
write_rows('HSET', KEYS[2], row, row + put_count * 2 - 1)
row = row + put_count * 2
write_rows('HDEL', KEYS[2], row, row + removed_count - 1)
row = row + removed_count
write_rows('RPUSH', KEYS[3], row, row + alert_count - 1)
row = row + alert_count
write_rows('RPUSH', KEYS[4], row, row + audit_count - 1)

-- Drops the oldest of a list; returns how many.
local function forget_oldest(key)
  local keep = tonumber(ARGV[15])
  local length = keep and call('LLEN', key) or 0
  if not keep or length <= keep then
    return 0
  end
  call('LTRIM', key, -keep, -1)
  return length - keep
end
gone_alerts = gone_alerts + forget_oldest(KEYS[3])
gone_audit = gone_audit + forget_oldest(KEYS[4])
call('SET', KEYS[1], string.format('%d %s %d %d', tonumber(version) + 1, ARGV[2], gone_alerts, gone_audit))

row = first_group_row
for group = 0, group_count - 1 do
  local key = first_group_key + group * 3
  local before, ttl_ms, seen_count = ARGV[row + 1], ARGV[row + 2], tonumber(ARGV[row + 3])
  if newest[group] then
    call('SET', KEYS[key], string.format('%.17g', newest[group]), 'PX', ARGV[4])
  end
  call('SET', KEYS[key + 1], ARGV[3], 'PX', ARGV[5])
  write_rows('ZADD', KEYS[key + 2], row + 4, row + 3 + seen_count * 2)
  if before ~= '' then
    call('ZREMRANGEBYSCORE', KEYS[key + 2], '-inf', '(' .. before)
  end
  call('PEXPIRE', KEYS[key + 2], ttl_ms)
  row = row + 4 + seen_count * 2
end

for strategy = 0, strategy_count - 1 do
  local key = KEYS[first_strategy_key + strategy]
  local pairs_to_set = raised[strategy]
  for start = 1, #pairs_to_set, CHUNK do
    call('HSET', key, unpack(pairs_to_set, start, math.min(start + CHUNK - 1, #pairs_to_set)))
  end
  call('PEXPIRE', key, ARGV[6])
end

row = first_result_row
for index = 0, result_count - 1 do
  local key = KEYS[first_result_key + index]
  local keep_count, row_count = tonumber(ARGV[row]), tonumber(ARGV[row + 1])
  write_rows('ZADD', key, row + 2, row + 1 + row_count * 2)
  call('ZREMRANGEBYRANK', key, 0, -(keep_count + 1))
  call('PEXPIRE', key, ARGV[7])
  row = row + 2 + row_count * 2
end

return 'applied'
