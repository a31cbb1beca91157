-- Purges. The generation is in microseconds, so that it grows also where redis has lost the last one.
local GENERATIONS = 'pixlserv:generations' -- hash: latest, born, floor, floor_at
local PURGES = 'pixlserv:purges' -- hash: source to "generation time"
local PURGES_BY_AGE = 'pixlserv:purges-by-age' -- sorted set: sources by generation

-- Lua would write 1.8e+15.
local function digits(number)
    return string.format('%.0f', number)
end

local function now_us()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function stored(field)
    return tonumber(redis.call('HGET', GENERATIONS, field) or '0')
end

local function store(field, number)
    redis.call('HSET', GENERATIONS, field, digits(number))
end

-- The generation of a purge that is about to be stored.
local function next_generation(known)
    local generation = math.max(stored('latest') + 1, known + 1, now_us())
    if stored('born') == 0 then
        store('born', generation - 1)
    end
    store('latest', generation)
    return generation
end

local function raise_floor(generation, at)
    if generation > stored('floor') then
        store('floor', generation)
        store('floor_at', math.max(stored('floor_at'), at))
    end
end

local function is_purged_since(source, generation)
    if stored('floor') > generation then
        return true
    end
    local purge = redis.call('HGET', PURGES, source)
    return purge and tonumber(string.match(purge, '^%d+')) > generation
end
