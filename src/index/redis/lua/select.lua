-- Arguments: `id` or `source`, where to begin, as ZRANGEBYLEX has it, and how many. Gives names and records in order.
local order = ARGV[1] == 'id' and BY_ID or BY_SOURCE
local found = {}
for _, member in ipairs(redis.call('ZRANGEBYLEX', order, ARGV[2], '+', 'LIMIT', 0, ARGV[3])) do
    local id = string.sub(member, -32)
    local packed = redis.call('HGET', RECORDS, id)
    if packed then
        found[#found + 1] = {id, packed}
    end
end
return found
