-- Argument: name. Gives secret and whether the key has `get` and `upload`, or nothing if there is no such key.
if redis.call('SISMEMBER', 'api-keys', ARGV[1]) == 0 then
    return false
end
local key = 'key:' .. ARGV[1]
local has = function(permission) return redis.call('SISMEMBER', key .. ':permissions', permission) end
return {redis.call('HGET', key, 'secret') or '', has('get'), has('upload')}
