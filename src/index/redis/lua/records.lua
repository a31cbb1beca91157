-- Records, their orders and their totals, which change together. All names of answers have 32 bytes.
local RECORDS = 'pixlserv:records' -- hash: name to record, packed as `pack` does
local BY_ID = 'pixlserv:records-by-id' -- sorted set: names, in the order of their bytes
local BY_SOURCE = 'pixlserv:records-by-source' -- the same of source, NUL, name
local BY_TIME = 'pixlserv:records-by-time' -- sorted set: names by last access
local BY_COUNT = 'pixlserv:records-by-count' -- sorted set: last access (8 bytes) and name, by number of uses
local TOTALS = 'pixlserv:totals' -- hash: records, bytes
local HEAD = '>I8I8I8I8I4'
local HEAD_BYTES = 36

-- Lua would write 1.8e+15.
local function whole(number)
    return string.format('%.0f', number)
end

local function unpack_record(packed)
    local record = {}
    record.count, record.last, record.made, record.bytes, record.checksum = struct.unpack(HEAD, packed)
    record.extension, record.version, record.description, record.source =
        string.match(string.sub(packed, HEAD_BYTES + 1), '^(%Z*)%z(%Z*)%z(%Z*)%z(%Z*)$')
    return record
end

local function pack_record(record)
    local head = struct.pack(HEAD, record.count, record.last, record.made, record.bytes, record.checksum)
    return head .. table.concat({record.extension, record.version, record.description, record.source}, '\0')
end

local function find(id)
    local packed = redis.call('HGET', RECORDS, id)
    return packed and unpack_record(packed)
end

local function in_order_of_count(id, record)
    return struct.pack('>I8', record.last) .. id
end

local function count_bytes(n_records, n_bytes)
    redis.call('HINCRBY', TOTALS, 'records', n_records)
    redis.call('HINCRBY', TOTALS, 'bytes', whole(n_bytes))
end

local function set_use(id, record)
    redis.call('ZADD', BY_TIME, whole(record.last), id)
    redis.call('ZADD', BY_COUNT, whole(record.count), in_order_of_count(id, record))
end

local function add(id, record)
    redis.call('HSET', RECORDS, id, pack_record(record))
    redis.call('ZADD', BY_ID, 0, id)
    redis.call('ZADD', BY_SOURCE, 0, record.source .. '\0' .. id)
    set_use(id, record)
    count_bytes(1, record.bytes)
end

-- Removes a record, and notes in `gone` what its file was.
local function drop(id, record, gone)
    redis.call('HDEL', RECORDS, id)
    redis.call('ZREM', BY_ID, id)
    redis.call('ZREM', BY_SOURCE, record.source .. '\0' .. id)
    redis.call('ZREM', BY_TIME, id)
    redis.call('ZREM', BY_COUNT, in_order_of_count(id, record))
    count_bytes(-1, 0 - record.bytes) -- not -0, which redis does not read
    gone[#gone + 1] = {id, record.extension, record.bytes}
end

-- Names of the answers of a source, up to `limit`.
local function names_of(source, limit)
    local names = redis.call('ZRANGEBYLEX', BY_SOURCE, '[' .. source .. '\0', '(' .. source .. '\1', 'LIMIT', 0, limit)
    for index, name in ipairs(names) do
        names[index] = string.sub(name, -32)
    end
    return names
end

local function drop_all(names, gone)
    for _, id in ipairs(names) do
        local record = find(id)
        if record then
            drop(id, record, gone)
        end
    end
end
