-- An order in Redis, whole as ours is: the key of the request, the units, the order, the deadline of its hold.
-- ARGV: a number that is never used twice.
local sku = 'stock:' .. (ARGV[1] % 10000)
local order = 'order:' .. ARGV[1]
if redis.call('EXISTS', order) == 1 then return 0 end
if tonumber(redis.call('GET', sku) or '0') < 1 then return -1 end
redis.call('DECRBY', sku, 1)
redis.call('HSET', order, 'sku', sku, 'buyer', 'buyer-' .. ARGV[1], 'units', 1, 'unit_price', 1999, 'token', 'tok_ok')
redis.call('ZADD', 'holds', redis.call('TIME')[1] + 600, order)
return 1
