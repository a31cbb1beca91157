-- Argument: name. Gives whether there was such a key.
local key = 'key:' .. ARGV[1]
local was_there = redis.call('SREM', 'api-keys', ARGV[1])
redis.call('DEL', key, key .. ':permissions')
return was_there
