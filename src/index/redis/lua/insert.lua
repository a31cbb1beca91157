-- Arguments: name, generation and record, for each. Gives which were kept, and what went for them.
-- All records of a source are of one state, since this comes before each of them: so one tells of all.
local function drop_other_versions(new, gone)
    local first = names_of(new.source, 1)[1]
    local one = first and find(first)
    if not one or one.version == new.version then
        return
    end
    for _, id in ipairs(names_of(new.source, -1)) do
        local record = find(id)
        if record and record.version ~= new.version then
            drop(id, record, gone)
        end
    end
end

local function renew(id, old, new)
    count_bytes(0, new.bytes - old.bytes)
    old.extension, old.bytes, old.checksum, old.made = new.extension, new.bytes, new.checksum, new.made
    redis.call('HSET', RECORDS, id, pack_record(old))
end

local kept, gone = {}, {}
for index = 1, #ARGV, 3 do
    local id, generation, new = ARGV[index], tonumber(ARGV[index + 1]), unpack_record(ARGV[index + 2])
    local is_kept = not is_purged_since(new.source, generation)
    kept[#kept + 1] = is_kept and 1 or 0
    if is_kept then
        drop_other_versions(new, gone)
        local old = find(id)
        if old then
            renew(id, old, new)
        else
            add(id, new)
        end
    end
end
return {kept, gone}
