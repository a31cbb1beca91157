-- Argument: key. Gives a text and for how many milliseconds it is still there, if it is.
local text = redis.call('GET', ARGV[1])
if not text then
    return false
end
return {text, redis.call('PTTL', ARGV[1])}
