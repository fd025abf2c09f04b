#!lua flags=no-writes
-- A page of alerts or of audit events, at one moment.
--
-- KEYS[1] head  string "<version> <id of the last commit> <alerts that are gone> <audit events that are gone>"
-- KEYS[2] list  of alerts or of audit events
--
-- ARGV[1] which of the two: 3 alerts, 4 audit events (their place in the head)
-- ARGV[2] first number
-- ARGV[3] how many
--
-- Returns the number of the first text, then the texts
-- Commands: GET LRANGE
local head = redis.call('GET', KEYS[1]) or ''
local alerts, audit = string.match(head, '^%S+ %S+ ?(%S*) ?(%S*)$')
local gone = tonumber(ARGV[1] == '3' and alerts or audit) or 0
local first = math.max(tonumber(ARGV[2]) - 1 - gone, 0)
local last = tonumber(ARGV[2]) + tonumber(ARGV[3]) - 2 - gone
local page = { gone + first + 1 }
if last >= first then
  for _, text in ipairs(redis.call('LRANGE', KEYS[2], first, last)) do
    page[#page + 1] = text
  end
end
return page
