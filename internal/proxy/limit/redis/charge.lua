-- Charges limits, all or none. KEYS are a limit and a caller each. ARGV is "take", or
-- "add" for what is charged in any case, and then for each key six values:
--   kind  "r" for a rate, "q" for a quota
--   cost  units; below zero they are given back (add)
--   dry   "1": the limit refuses nothing
--   of a rate:  units, the microseconds in which they come back, and how many may come at once
--   of a quota: the amount, and the seconds at which its window begins and ends
--
-- A rate is kept as "LEVEL TIME": the units that have not come back, and when that was,
-- in microseconds. A quota is kept as "USED BEGIN". The clock is that of the server. One
-- that goes back takes nothing away and gives nothing back.
--
-- The answer is a status (0 refused, 1 charged, 2 the window is another one), the time in
-- seconds, and for each key: 1 if it refuses, the units used, and the microseconds until
-- there is one less, or none.
local SLACK = 0.000001 -- of a unit, for what rounding leaves
local DAY = 86400000000
local MOST = 274877906943 -- 2^38 - 1

local time = redis.call('TIME')
local seconds = tonumber(time[1])
local now = seconds * 1000000 + tonumber(time[2])
local take = ARGV[1] == 'take'
local status = 1
local limits = {}

for i = 1, #KEYS do
  local at = (i - 1) * 6 + 2
  local cost = tonumber(ARGV[at + 1])
  local l = { rate = ARGV[at] == 'r', x = tonumber(ARGV[at + 3]), y = tonumber(ARGV[at + 4]), z = tonumber(ARGV[at + 5]) }
  local value = redis.call('GET', KEYS[i])
  local a, b
  if value then
    a, b = string.match(value, '^(%S+) (%S+)$')
    a, b = tonumber(a), tonumber(b)
  end
  if l.rate then
    l.level = a and b and a or 0
    if a and b and now > b then
      l.level = math.max(0, l.level - (now - b) * l.x / l.y)
    end
    l.most = l.z
  else
    if seconds < l.y or seconds >= l.z then
      return { 2, seconds }
    end
    l.level, l.begin = 0, l.y
    if a and b and b >= l.y then
      l.level, l.begin = a, b
    end
    l.most = l.x
  end
  if not take then
    l.after = math.max(0, l.level + cost)
    if l.rate then
      l.after = math.min(l.after, math.max(l.level, l.most + DAY * l.x / l.y))
    else
      l.after = math.min(l.after, MOST)
    end
  elseif cost == 0 and math.ceil(l.level - SLACK) >= l.most or cost > 0 and l.level + cost > l.most + SLACK then
    l.refuses = 1
    if ARGV[at + 2] ~= '1' then
      status = 0
    end
  else
    l.after = l.level + cost
  end
  limits[i] = l
end

local answer = { status, seconds }
for i, l in ipairs(limits) do
  if status == 1 and l.after and l.after ~= l.level then
    l.level = l.after
    if l.rate then
      local back = math.ceil(l.level * l.y / l.x / 1000) + 1000
      redis.call('SET', KEYS[i], string.format('%.17g %.0f', l.level, now), 'PX', string.format('%.0f', back))
    else
      local stay = math.max(l.z, l.begin + l.z - l.y) - seconds + 60
      redis.call('SET', KEYS[i], string.format('%.0f %.0f', l.level, l.begin), 'EX', string.format('%.0f', stay))
    end
  end
  local used, wait = math.ceil(l.level - SLACK), 0
  if not l.rate then
    wait = l.z * 1000000 - now
  elseif used > 0 then
    wait = math.max(1, math.ceil((l.level - (used - 1)) * l.y / l.x))
  end
  answer[#answer + 1] = l.refuses or 0
  answer[#answer + 1] = used
  answer[#answer + 1] = wait
end
return answer
