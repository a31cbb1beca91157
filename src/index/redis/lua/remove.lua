-- Arguments: names.
drop_all(ARGV, {})
