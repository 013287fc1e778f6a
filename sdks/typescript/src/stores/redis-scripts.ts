/**
 * What Redis runs, each script one atomic step. KEYS[1] is the inbox's name; every
 * other key starts with it, and as it holds a hash tag, all are in one slot:
 *
 * | key | holds |
 * |---|---|
 * | `:event:{id}` | one event, a hash |
 * | `:seq` | how many were accepted |
 * | `:pending` | ids of pending events, a set |
 * | `:ready` | those that may run, by their place in the order |
 * | `:later` | those that wait for a time, by that time |
 * | `:running` | taken from the queue, by the end of their lease |
 * | `:order:{key}` | unsettled ids of an order key; only the first is ready or later |
 * | `:leased`, `:done`, `:failed`, `:dead` | claimed or settled ids, by when Redis forgets them |
 */
const head = `
local base = KEYS[1]
local function name(id) return base .. ':event:' .. id end
local function get(id, field) return redis.call('HGET', name(id), field) end
local function forgotten_at(ms)
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000) + ms
end
local function trim(set)
  redis.call('ZREMRANGEBYSCORE', base .. ':' .. set, '-inf', forgotten_at(0))
end
local function expire(id, set, retention)
  redis.call('PEXPIRE', name(id), retention)
  redis.call('ZADD', base .. ':' .. set, forgotten_at(tonumber(retention)), id)
  trim(set)
end
local function leave(id)
  for _, set in ipairs({'ready', 'later', 'running', 'leased', 'done', 'failed', 'dead'}) do
    redis.call('ZREM', base .. ':' .. set, id)
  end
  redis.call('SREM', base .. ':pending', id)
end
local function order_of(id)
  local order = get(id, 'order')
  return order and order ~= '' and base .. ':order:' .. order
end
-- lets the first of an order key run when its time has come
local function activate(order)
  local first = redis.call('ZRANGE', order, 0, 0)[1]
  if first and get(first, 'state') == 'pending' then
    redis.call('ZADD', base .. ':later', get(first, 'due'), first)
  end
end
local function leave_order(id)
  local order = order_of(id)
  if order then
    redis.call('ZREM', order, id)
    activate(order)
  end
end
-- makes a pending event run at its time, in its place of the order
local function wait(id)
  redis.call('SADD', base .. ':pending', id)
  local order = order_of(id)
  if not order then
    redis.call('ZADD', base .. ':later', get(id, 'due'), id)
    return
  end
  redis.call('ZADD', order, get(id, 'seq'), id)
  for _, other in ipairs(redis.call('ZRANGE', order, 0, 1)) do
    redis.call('ZREM', base .. ':ready', other)
    redis.call('ZREM', base .. ':later', other)
  end
  activate(order)
end
local function settle(id, state, retention)
  redis.call('HSET', name(id), 'state', state)
  redis.call('HDEL', name(id), 'token')
  leave(id)
  expire(id, state, retention)
  leave_order(id)
end
local function is_claim(id, token) return get(id, 'token') == token end
`;

const script = (body: string) => head + body;

/** id, sha, token, now, lease end, retention → claimed attempt | done status | running end | other_body */
export const claim = script(`
local id, sha, token, now, ends, retention = unpack(ARGV)
local row = redis.call('HMGET', name(id), 'sha', 'state', 'lease', 'status', 'attempt')
if row[1] and row[1] ~= sha then return {'other_body'} end
if row[2] == 'done' then return {'done', row[4]} end
if row[2] == 'running' and tonumber(row[3]) > tonumber(now) then return {'running', row[3]} end
if row[2] == 'pending' or row[2] == 'dead' then return {'running', now} end
local attempt = (tonumber(row[5] or '0')) + 1
redis.call('HSET', name(id), 'sha', sha, 'state', 'running', 'token', token, 'lease', ends,
  'attempt', attempt)
leave(id)
expire(id, 'leased', retention)
return {'claimed', tostring(attempt)}
`);

/** id, token, lease end → 1 | 0 */
export const heartbeat = script(`
local id, token, ends = unpack(ARGV)
if not is_claim(id, token) then return 0 end
redis.call('HSET', name(id), 'lease', ends)
if get(id, 'body') then redis.call('ZADD', base .. ':running', ends, id) end
return 1
`);

/** id, token, state, field, value, retention → 1 | 0 */
export const settle = script(`
local id, token, state, field, value, retention = unpack(ARGV)
if not is_claim(id, token) then return 0 end
redis.call('HSET', name(id), field, value)
settle(id, state, retention)
return 1
`);

/** id, token, due, error → 1 | 0 */
export const retry = script(`
local id, token, due, message = unpack(ARGV)
if not is_claim(id, token) then return 0 end
redis.call('HSET', name(id), 'state', 'pending', 'due', due, 'error', message)
redis.call('HDEL', name(id), 'token')
leave(id)
wait(id)
return 1
`);

/** id, sha, now, order, body, signed at, host → accepted | done status | dead | other_body */
export const accept = script(`
local id, sha, now, order, body, signed, host = unpack(ARGV)
local row = redis.call('HMGET', name(id), 'sha', 'state', 'status')
if row[1] and row[1] ~= sha then return {'other_body'} end
if row[2] == 'done' then return {'done', row[3]} end
if row[2] == 'dead' then return {'dead'} end
if row[2] then return {'accepted'} end
redis.call('HSET', name(id), 'sha', sha, 'state', 'pending', 'attempt', 0, 'due', now,
  'seq', redis.call('INCR', base .. ':seq'), 'order', order, 'body', body, 'signed', signed,
  'host', host)
wait(id)
return {'accepted'}
`);

/** token, now, lease end, attempts, retention → id, attempt, body, signed at, host | nothing */
export const take = script(`
local token, now, ends, attempts_max, retention = unpack(ARGV)
local first, first_seq
local function consider(id)
  local seq = tonumber(get(id, 'seq'))
  if not first_seq or seq < first_seq then first, first_seq = id, seq end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. ':running', '-inf', now)) do
  local attempt = get(id, 'attempt')
  if not attempt then
    leave(id)
  elseif tonumber(attempt) >= tonumber(attempts_max) then
    redis.call('HSET', name(id), 'error', 'the lease of the last attempt expired')
    settle(id, 'dead', retention)
  else
    consider(id)
  end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. ':later', '-inf', now)) do
  redis.call('ZREM', base .. ':later', id)
  local seq = get(id, 'seq')
  if seq then redis.call('ZADD', base .. ':ready', seq, id) else leave(id) end
end
-- an evicted event leaves its id behind
local ready = redis.call('ZRANGE', base .. ':ready', 0, 0)[1]
while ready and not get(ready, 'seq') do
  leave(ready)
  ready = redis.call('ZRANGE', base .. ':ready', 0, 0)[1]
end
if ready then consider(ready) end
if not first then return nil end
leave(first)
redis.call('HSET', name(first), 'state', 'running', 'token', token, 'lease', ends)
redis.call('HINCRBY', name(first), 'attempt', 1)
redis.call('ZADD', base .. ':running', ends, first)
local row = redis.call('HMGET', name(first), 'attempt', 'body', 'signed', 'host')
return {first, row[1], row[2], row[3], row[4]}
`);

/** → pending, running, done, failed, dead */
export const stats = script(`
for _, set in ipairs({'leased', 'done', 'failed', 'dead'}) do trim(set) end
local function count(set) return redis.call('ZCARD', base .. ':' .. set) end
return {redis.call('SCARD', base .. ':pending'), count('running') + count('leased'), count('done'),
  count('failed'), count('dead')}
`);

/** id, now, retention → reprocessed | running | absent */
export const reprocess = script(`
local id, now, retention = unpack(ARGV)
local state = get(id, 'state')
if not state then return 'absent' end
if state == 'running' then return 'running' end
leave(id)
redis.call('HSET', name(id), 'attempt', 0, 'due', now)
if get(id, 'body') then
  redis.call('HSET', name(id), 'state', 'pending')
  redis.call('PERSIST', name(id))
  wait(id)
else
  redis.call('HSET', name(id), 'state', 'failed')
  expire(id, 'failed', retention)
end
return 'reprocessed'
`);

/** id → forgotten | absent */
export const forget = script(`
local id = ARGV[1]
local order = order_of(id)
leave(id)
local removed = redis.call('DEL', name(id))
if order then
  redis.call('ZREM', order, id)
  activate(order)
end
return removed == 1 and 'forgotten' or 'absent'
`);

/** token, now, end → acquired fence | held_elsewhere end */
export const acquire = `
local token, now, ends = unpack(ARGV)
local row = redis.call('HMGET', KEYS[1], 'token', 'ends')
if row[1] and tonumber(row[2]) > tonumber(now) then return {'held_elsewhere', row[2]} end
redis.call('HSET', KEYS[1], 'token', token, 'ends', ends)
return {'acquired', tostring(redis.call('HINCRBY', KEYS[1], 'fence', 1))}
`;

/** token, end → 1 | 0 */
export const extend = `
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'ends', ARGV[2])
return 1
`;

/** token → 1 | 0 */
export const release = `
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'token')
return 1
`;
