-- Arguments: `time` or `count`, bytes to be freed, how many may go. Gives what went, in that order.
local order = ARGV[1] == 'time' and BY_TIME or BY_COUNT
local wanted, most = tonumber(ARGV[2]), tonumber(ARGV[3])
local gone, freed = {}, 0
while freed < wanted and #gone < most do
    local member = redis.call('ZRANGE', order, 0, 0)[1]
    if not member then
        break
    end
    local id = string.sub(member, -32)
    local record = find(id)
    if record then
        drop(id, record, gone)
        freed = freed + record.bytes
    else
        redis.call('ZREM', order, member)
    end
end
return gone
