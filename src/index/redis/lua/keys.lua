-- Gives all keys and whether they have `get` and `upload`.
local found = {}
for _, name in ipairs(redis.call('SMEMBERS', 'api-keys')) do
    local permissions = 'key:' .. name .. ':permissions'
    local has = function(permission) return redis.call('SISMEMBER', permissions, permission) end
    found[#found + 1] = {name, has('get'), has('upload')}
end
return found
