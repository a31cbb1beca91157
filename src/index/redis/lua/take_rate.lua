-- Arguments: key, interval, burst times interval, in microseconds. Gives 0, or how long it is until the next is accepted.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
local interval, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
-- The theoretical arrival time; a clock that was put back makes nobody wait longer than a burst.
local arrival = tonumber(redis.call('GET', ARGV[1]) or '0') or 0
arrival = math.min(math.max(arrival, now), now + burst) + interval
if arrival - now > burst then
    return math.ceil(arrival - now - burst)
end
redis.call('SET', ARGV[1], string.format('%.0f', arrival), 'PX', math.ceil((arrival - now) / 1000))
return 0
