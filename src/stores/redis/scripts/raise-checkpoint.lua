#!lua
-- Moves one checkpoint forward; it never moves backwards. Detection goes on behind it: the piece says so to whoever loads
-- the stream, and the version rises, so that whoever is at work loads it again.
--
-- KEYS[1] LAST_CHECKPOINTS of a strategy  hash: series and level -> data time in s
-- KEYS[2] head                            string "<version> <id of the last commit> <gone> <gone>"
-- KEYS[3] pieces                          hash: name -> value
--
-- ARGV[1] field: series and level
-- ARGV[2] time in s
-- ARGV[3] life of the hash in ms
-- ARGV[4] name of the piece
--
-- Commands: HGET HSET PEXPIRE GET SET
--
-- Returns the time that stands afterwards (s, as text)
local call = redis.call
local stored = call('HGET', KEYS[1], ARGV[1])
local standing = stored and tonumber(stored)
if standing and standing >= tonumber(ARGV[2]) then
  call('PEXPIRE', KEYS[1], ARGV[3])
  return stored
end
local head = call('GET', KEYS[2])
call('HSET', KEYS[1], ARGV[1], ARGV[2])
call('PEXPIRE', KEYS[1], ARGV[3])
call('HSET', KEYS[3], ARGV[4], ARGV[2])
if head then
  local version, rest = string.match(head, '^(%S+)( .*)$')
  call('SET', KEYS[2], string.format('%d', tonumber(version) + 1) .. rest)
end
return ARGV[2]
