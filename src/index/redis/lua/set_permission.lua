-- Arguments: name, permission, `SADD` or `SREM`. Gives whether there is such a key.
local is_there = redis.call('SISMEMBER', 'api-keys', ARGV[1])
if is_there == 1 then
    redis.call(ARGV[3], 'key:' .. ARGV[1] .. ':permissions', ARGV[2])
end
return is_there
