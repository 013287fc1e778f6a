-- Every step of a lock. KEYS[1] is the prefix; ARGV[1] the step, ARGV[2] now in milliseconds.
-- A lock is a hash that stays, so that its fence rises for ever.

local prefix, step, now = KEYS[1], ARGV[1], tonumber(ARGV[2])

local function held(token)
  local key = redis.call('GET', prefix .. 'lock-token:' .. token)
  if not key or redis.call('HGET', key, 'token') ~= token then return nil end
  return key
end

if step == 'acquire' then
  local key, token, ttl = prefix .. 'lock:' .. ARGV[3], ARGV[4], tonumber(ARGV[5])
  local known = redis.call('HMGET', key, 'token', 'until')
  if known[1] and now < tonumber(known[2]) then return {'held_elsewhere', tonumber(known[2])} end
  if known[1] then redis.call('DEL', prefix .. 'lock-token:' .. known[1]) end
  redis.call('HSET', key, 'token', token, 'until', now + ttl)
  redis.call('SET', prefix .. 'lock-token:' .. token, key)
  return {'acquired', redis.call('HINCRBY', key, 'fence', 1)}
end

if step == 'extend' then
  local key = held(ARGV[3])
  if not key then return {'lost'} end
  redis.call('HSET', key, 'until', now + tonumber(ARGV[4]))
  return {'held'}
end

if step == 'release' then
  local key = held(ARGV[3])
  if not key then return {'lost'} end
  redis.call('HDEL', key, 'token', 'until')
  redis.call('DEL', prefix .. 'lock-token:' .. ARGV[3])
  return {'released'}
end

return redis.error_reply('an unknown step')
