-- Arguments: name, secret. Gives whether the key is new.
local key = 'key:' .. ARGV[1]
local is_new = redis.call('SADD', 'api-keys', ARGV[1])
if is_new == 1 then
    redis.call('DEL', key, key .. ':permissions')
    redis.call('HSET', key, 'secret', ARGV[2])
    redis.call('SADD', key .. ':permissions', 'get', 'upload')
end
return is_new
