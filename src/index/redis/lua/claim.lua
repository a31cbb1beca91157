-- Arguments: key, who, milliseconds. Gives 1 if it is theirs now.
local holder = redis.call('GET', ARGV[1])
if holder and holder ~= ARGV[2] then
    return 0
end
redis.call('SET', ARGV[1], ARGV[2], 'PX', ARGV[3])
return 1
