"""What the server does in one step, so that nothing comes in between."""

from __future__ import annotations

from typing import Final

READ: Final = """
-- The entries after one, and what the stream tells of itself. KEYS: stream. ARGV: the id, the most entries, the
-- field whose value is to come alone ('' for none), the most bytes.
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
local told, facts = redis.call('XINFO', 'STREAM', KEYS[1]), {}
for i = 1, #told, 2 do facts[told[i]] = told[i + 1] end
if not facts['entries-added'] then return redis.error_reply('ERR Redis 7 or later is needed') end
local count, field, most = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local found = redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', count + 2)
local there = 0
if found[1] and found[1][1] == ARGV[1] then there = 1 end
local given, bytes, more, place = {}, 0, 0, 0
for i = there + 1, #found do
  if i - there > count or bytes >= most then more = 1 break end
  local id, fields = found[i][1], found[i][2]
  for j = 1, #fields do bytes = bytes + #fields[j] end
  given[place + 1] = id
  if field ~= '' and #fields == 2 and fields[1] == field then
    given[place + 2] = fields[2]
  else
    given[place + 2] = fields
  end
  place = place + 2
end
local first = facts['first-entry']
first = first and first[1] or ''
return {facts['entries-added'], facts['length'], first, facts['last-generated-id'], there, more, given}
"""

STAGE: Final = """
-- Add to a part, if it is as long as it should be. KEYS: part, parts. ARGV: its length, its run, how long it is kept
-- in ms, then what is added. Gives how long it is.
local length = redis.call('LLEN', KEYS[1])
if length == tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[2], KEYS[1], ARGV[2])
  for first = 4, #ARGV, 4000 do
    length = redis.call('RPUSH', KEYS[1], unpack(ARGV, first, math.min(first + 3999, #ARGV)))
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return length
"""

MOVE: Final = """
-- Move the first items of a part into the stream. KEYS: part, stream, parts, count of what was moved. ARGV: how many
-- items the part had, the most to move, the field ('' where an item is a list of fields), whether keys stand before
-- the items, what begins the names of keys that are remembered, how long they are in ms, the most entries of the
-- stream (0 for any number), how long the count is kept in ms. Gives what has been moved, and the items left.
local moved = tonumber(redis.call('GET', KEYS[4]) or '0')
local width = ARGV[4] == '1' and 2 or 1
local left = redis.call('LLEN', KEYS[1]) / width
if moved + left ~= tonumber(ARGV[1]) then return {moved, left} end
local kind = redis.call('TYPE', KEYS[2])['ok']
if kind ~= 'stream' and kind ~= 'none' then return redis.error_reply('WRONGTYPE the key holds a ' .. kind) end
local found = redis.call('LRANGE', KEYS[1], 0, tonumber(ARGV[2]) * width - 1)
for i = 1, #found, width do
  local value = found[i + width - 1]
  if width == 1 or redis.call('SET', ARGV[5] .. found[i], '1', 'NX', 'PX', ARGV[6]) then
    if ARGV[3] ~= '' then
      redis.call('XADD', KEYS[2], '*', ARGV[3], value)
    else
      redis.call('XADD', KEYS[2], '*', unpack(cjson.decode(value)))
    end
  end
end
if #found > 0 then
  redis.call('LTRIM', KEYS[1], #found, -1)
  moved, left = moved + #found / width, left - #found / width
  redis.call('SET', KEYS[4], moved, 'PX', ARGV[8])
  if ARGV[7] ~= '0' then redis.call('XTRIM', KEYS[2], 'MAXLEN', '~', ARGV[7]) end
end
if left == 0 then redis.call('HDEL', KEYS[3], KEYS[1]) end
return {moved, left}
"""

DROP: Final = """
-- Remove a part. KEYS: part, parts.
redis.call('HDEL', KEYS[2], KEYS[1])
return redis.call('DEL', KEYS[1])
"""

SWEEP: Final = """
-- Remove a part unless its run is held. KEYS: part, parts, the run's hold.
if redis.call('EXISTS', KEYS[3]) == 1 then return 0 end
redis.call('HDEL', KEYS[2], KEYS[1])
return redis.call('DEL', KEYS[1])
"""
