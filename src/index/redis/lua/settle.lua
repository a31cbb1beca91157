-- Arguments: what the caller has seen of latest, born, floor, floor_at; zeros if nothing.
local known, born, floor, floor_at = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local latest = stored('latest')
if latest < known or (latest == known and stored('born') ~= born) then
    latest = 0
end
if latest == 0 then
    latest = math.max(now_us(), known + 1)
    store('latest', latest)
end
if stored('born') == 0 then
    store('born', latest)
end
-- Purges up to `known` are forgotten, if there were any.
if known > born then
    raise_floor(known, now_us())
else
    raise_floor(floor, floor_at)
end
return {latest, stored('born'), stored('floor'), stored('floor_at')}
