-- Arguments: source, generation. Gives whether the source was purged since.
return is_purged_since(ARGV[1], tonumber(ARGV[2])) and 1 or 0
