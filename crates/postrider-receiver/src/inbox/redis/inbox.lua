-- Every step of an inbox, atomic by being a script. The clock is the caller's.
--
-- KEYS[1] is the prefix, in braces so that a cluster keeps it all in one place. Below it:
--   row:SCOPE:ID     a hash: hash, state, attempt, token, until, due, place, order, body, signed_at, status
--   token:TOKEN      SCOPE and ID of the row that it holds
--   queue:SCOPE      a sorted set of the ids of unfinished queued rows, by place
--   ids:SCOPE        a set of all ids, for counting
--   place            the last place given
-- ARGV[1] is the step, ARGV[2] now in milliseconds, ARGV[3] the retention in milliseconds.

local prefix, step, now, retention = KEYS[1], ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

local function row_key(scope, id) return prefix .. 'row:' .. scope .. ':' .. id end
local function token_key(token) return prefix .. 'token:' .. token end
local function queue_key(scope) return prefix .. 'queue:' .. scope end
local function ids_key(scope) return prefix .. 'ids:' .. scope end

local function spend(key)
  local token = redis.call('HGET', key, 'token')
  if token then
    redis.call('DEL', token_key(token))
    redis.call('HDEL', key, 'token', 'until')
  end
end

-- A settled row expires by itself; one that lives again must not.
local function settle(scope, id, state)
  local key = row_key(scope, id)
  spend(key)
  redis.call('HSET', key, 'state', state)
  redis.call('ZREM', queue_key(scope), id)
  redis.call('PEXPIRE', key, retention)
end

local function start(scope, id, token, lease)
  local key = row_key(scope, id)
  spend(key)
  local attempt = redis.call('HINCRBY', key, 'attempt', 1)
  redis.call('HSET', key, 'state', 'running', 'token', token, 'until', now + lease)
  redis.call('PERSIST', key)
  redis.call('HSET', token_key(token), 'scope', scope, 'id', id)
  return attempt
end

local function held(token)
  local name = redis.call('HMGET', token_key(token), 'scope', 'id')
  if not name[1] then return nil end
  local key = row_key(name[1], name[2])
  if redis.call('HGET', key, 'token') ~= token then return nil end
  return name[1], name[2], key
end

if step == 'claim' then
  local scope, id, hash, token, lease = ARGV[4], ARGV[5], ARGV[6], ARGV[7], tonumber(ARGV[8])
  local key = row_key(scope, id)
  local known = redis.call('HMGET', key, 'hash', 'state', 'until', 'status')
  if known[1] and known[1] ~= hash then return {'other_body'} end
  if known[2] == 'done' then return {'done', tonumber(known[4])} end
  if known[2] == 'running' and now < tonumber(known[3]) then return {'running', tonumber(known[3])} end
  redis.call('HSET', key, 'hash', hash)
  redis.call('SADD', ids_key(scope), id)
  return {'claimed', start(scope, id, token, lease)}
end

if step == 'accept' then
  local scope, id, hash, body, order = ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
  local key = row_key(scope, id)
  local known = redis.call('HMGET', key, 'hash', 'state', 'status')
  if known[1] and known[1] ~= hash then return {'other_body'} end
  if known[2] == 'done' then return {'done', tonumber(known[3])} end
  if known[2] == 'dead' then return {'dead'} end
  if known[2] then return {'accepted'} end
  local place = redis.call('INCR', prefix .. 'place')
  redis.call('HSET', key, 'hash', hash, 'state', 'pending', 'attempt', 0, 'due', now,
    'place', place, 'order', order, 'body', body, 'signed_at', ARGV[9])
  redis.call('SADD', ids_key(scope), id)
  redis.call('ZADD', queue_key(scope), place, id)
  return {'accepted'}
end

if step == 'take' then
  local scope, token, lease, attempts_max = ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
  local unfinished = {}
  for _, id in ipairs(redis.call('ZRANGE', queue_key(scope), 0, -1)) do
    local key = row_key(scope, id)
    local row = redis.call('HMGET', key, 'state', 'due', 'until', 'attempt', 'order')
    local is_free = (row[1] == 'pending' and tonumber(row[2]) <= now)
      or (row[1] == 'running' and tonumber(row[3]) <= now)
    if is_free and tonumber(row[4]) >= attempts_max then
      settle(scope, id, 'dead')
    else
      local order = row[5]
      local has_order = order and order ~= ''
      if is_free and not (has_order and unfinished[order]) then
        local attempt = start(scope, id, token, lease)
        local stored = redis.call('HMGET', key, 'body', 'signed_at')
        return {'claimed', attempt, id, stored[1], stored[2]}
      end
      if has_order then unfinished[order] = true end
    end
  end
  return {'empty'}
end

if step == 'heartbeat' then
  local scope, id, key = held(ARGV[4])
  if not key then return {'lost'} end
  redis.call('HSET', key, 'until', now + tonumber(ARGV[5]))
  return {'held'}
end

if step == 'finish' then
  local scope, id, key = held(ARGV[4])
  if not key then return {'lost'} end
  redis.call('HSET', key, 'status', ARGV[5])
  settle(scope, id, 'done')
  return {'finished'}
end

if step == 'fail' then
  -- ARGV[6]: the delays, a JSON array, or empty for leased mode
  local scope, id, key = held(ARGV[4])
  if not key then return {'lost'} end
  redis.call('HSET', key, 'error', ARGV[5])
  if ARGV[6] == '' then
    settle(scope, id, 'failed')
    return {'failed'}
  end
  local delay = cjson.decode(ARGV[6])[tonumber(redis.call('HGET', key, 'attempt'))]
  if not delay then
    settle(scope, id, 'dead')
    return {'dead'}
  end
  spend(key)
  redis.call('HSET', key, 'state', 'pending', 'due', now + delay)
  return {'pending', now + delay}
end

if step == 'stats' then
  local scope, counts = ARGV[4], {}
  for _, id in ipairs(redis.call('SMEMBERS', ids_key(scope))) do
    local state = redis.call('HGET', row_key(scope, id), 'state')
    if state then
      counts[state] = (counts[state] or 0) + 1
    else
      redis.call('SREM', ids_key(scope), id)
    end
  end
  local list = {}
  for state, count in pairs(counts) do
    list[#list + 1] = state
    list[#list + 1] = count
  end
  return list
end

if step == 'reprocess' then
  local scope, id = ARGV[4], ARGV[5]
  local key = row_key(scope, id)
  local row = redis.call('HMGET', key, 'state', 'until', 'body', 'place')
  if not row[1] then return {'absent'} end
  if row[1] == 'running' and now < tonumber(row[2]) then return {'running'} end
  redis.call('HSET', key, 'attempt', 0)
  if row[3] then
    spend(key)
    redis.call('HSET', key, 'state', 'pending', 'due', now)
    redis.call('PERSIST', key)
    redis.call('ZADD', queue_key(scope), row[4], id)
  else
    settle(scope, id, 'failed')
  end
  return {'reprocessed'}
end

if step == 'forget' then
  local scope, id = ARGV[4], ARGV[5]
  local key = row_key(scope, id)
  spend(key)
  redis.call('ZREM', queue_key(scope), id)
  redis.call('SREM', ids_key(scope), id)
  return {redis.call('DEL', key) == 1 and 'forgotten' or 'absent'}
end

return redis.error_reply('an unknown step')
