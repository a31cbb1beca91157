-- Arguments: name, number of uses and time of the last one, for each.
for index = 1, #ARGV, 3 do
    local id = ARGV[index]
    local record = find(id)
    if record then
        redis.call('ZREM', BY_COUNT, in_order_of_count(id, record))
        record.count = record.count + tonumber(ARGV[index + 1])
        record.last = math.max(record.last, tonumber(ARGV[index + 2]))
        redis.call('HSET', RECORDS, id, pack_record(record))
        set_use(id, record)
    end
end
