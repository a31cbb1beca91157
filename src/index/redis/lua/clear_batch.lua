-- Arguments: where to begin, as ZRANGEBYLEX has it, and how many may go. Gives what went.
local gone = {}
drop_all(redis.call('ZRANGEBYLEX', BY_ID, ARGV[1], '+', 'LIMIT', 0, ARGV[2]), gone)
return gone
