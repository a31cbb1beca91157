-- Gives floor and its time, and sources with their purges one after the other.
return {stored('floor'), stored('floor_at'), redis.call('HGETALL', PURGES)}
