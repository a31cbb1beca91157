-- Arguments: source, answers that may go at once. Gives what went.
local gone = {}
drop_all(names_of(ARGV[1], tonumber(ARGV[2])), gone)
return gone
