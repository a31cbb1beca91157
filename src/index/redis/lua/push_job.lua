-- Arguments: source, when it is due, jobs that may wait. Gives whether it was taken.
local is_there = redis.call('ZSCORE', 'pixlserv:jobs', ARGV[1])
if not is_there and redis.call('ZCARD', 'pixlserv:jobs') >= tonumber(ARGV[3]) then
    return 0
end
redis.call('ZADD', 'pixlserv:jobs', ARGV[2], ARGV[1])
redis.call('HSET', 'pixlserv:job-tries', ARGV[1], 0)
return 1
