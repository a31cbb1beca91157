-- Arguments: the last generation that the caller knows, time. Gives the new generation.
local generation = next_generation(tonumber(ARGV[1]))
redis.call('DEL', PURGES, PURGES_BY_AGE)
raise_floor(generation, tonumber(ARGV[2]))
return generation
