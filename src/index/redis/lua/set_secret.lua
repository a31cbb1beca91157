-- Arguments: name, secret. Gives whether there is such a key.
local is_there = redis.call('SISMEMBER', 'api-keys', ARGV[1])
if is_there == 1 then
    redis.call('HSET', 'key:' .. ARGV[1], 'secret', ARGV[2])
end
return is_there
