-- Arguments: now, until when it is taken. Gives source and number of tries, or nothing.
local source = redis.call('ZRANGEBYSCORE', 'pixlserv:jobs', '-inf', ARGV[1], 'LIMIT', 0, 1)[1]
if not source then
    return false
end
redis.call('ZADD', 'pixlserv:jobs', ARGV[2], source)
return {source, redis.call('HINCRBY', 'pixlserv:job-tries', source, 1)}
