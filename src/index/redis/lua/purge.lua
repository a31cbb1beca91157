-- Arguments: the last generation that the caller knows, source, time, purges that are kept by name, answers that may go
-- at once. Gives the new generation, and what went.
local source, at, most = ARGV[2], ARGV[3], tonumber(ARGV[4])
local generation = next_generation(tonumber(ARGV[1]))
redis.call('HSET', PURGES, source, digits(generation) .. ' ' .. at)
redis.call('ZADD', PURGES_BY_AGE, digits(generation), source)
-- What is older than the oldest that are kept counts as purged.
local excess = redis.call('ZCARD', PURGES_BY_AGE) - most
for _, oldest in ipairs(excess > 0 and redis.call('ZRANGE', PURGES_BY_AGE, 0, excess - 1) or {}) do
    local purged, purged_at = string.match(redis.call('HGET', PURGES, oldest) or '0 0', '^(%d+) (%d+)$')
    raise_floor(tonumber(purged), tonumber(purged_at))
    redis.call('HDEL', PURGES, oldest)
    redis.call('ZREM', PURGES_BY_AGE, oldest)
end
local gone = {}
drop_all(names_of(source, tonumber(ARGV[5])), gone)
return {generation, gone}
