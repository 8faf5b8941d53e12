-- Grants places of requests in progress. KEYS[1] is a limit and a caller. ARGV:
--   who asks, how many places there are, how many of them the asker has, how many more it
--   wants, of how few it can make use, a number that each of its asks has a higher one of,
--   for how many milliseconds places are had, and how many may have some
--
-- The places are kept as "HOLDER PLACES UNTIL NUMBER;" for each who has some, in milliseconds
-- of the server's clock. What an asker says to have is noted, whatever others have.
--
-- The answer is the time in milliseconds, the places granted, and how many are free then.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local holder, most, has, want = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local least, number, stay, holders = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])

local value = redis.call('GET', KEYS[1]) or ''
local kept, others, known = {}, 0, false
for name, places, til, at in string.gmatch(value, '(%S+) (%d+) (%d+) (%d+);') do
  if name == holder then
    known = true
    if tonumber(at) > number then
      return { now, 0, 0 }
    end
  elseif tonumber(til) > now then
    til = math.min(tonumber(til), now + stay) -- the clock may have been set back
    others = others + tonumber(places)
    kept[#kept + 1] = string.format('%s %s %.0f %s;', name, places, til, at)
  end
end

local free = math.max(most - others - has, 0)
if not known and has == 0 and #kept >= holders then
  free = 0
end
local granted = 0
if free > 0 and free >= least then
  granted = math.min(free, want)
end
if has + granted > 0 and #kept < 2 * holders then
  kept[#kept + 1] = string.format('%s %.0f %.0f %.0f;', holder, has + granted, now + stay, number)
end
if #kept > 0 then
  redis.call('SET', KEYS[1], table.concat(kept), 'PX', stay)
elseif value ~= '' then
  redis.call('SET', KEYS[1], '', 'PX', 1)
end
return { now, granted, free - granted }
