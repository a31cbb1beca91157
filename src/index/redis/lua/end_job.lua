-- Argument: source.
redis.call('ZREM', 'pixlserv:jobs', ARGV[1])
redis.call('HDEL', 'pixlserv:job-tries', ARGV[1])
