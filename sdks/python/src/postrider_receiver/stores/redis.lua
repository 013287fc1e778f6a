-- The rules of an inbox in Redis. Each call is one operation, so each is atomic.
--
-- KEYS[1] is the prefix of all keys, in braces, so that a cluster keeps them together. ARGV[1] is
-- the operation, ARGV[2] its parameters in JSON, ARGV[3] a body.
--
-- {prefix}:event:{effect key}   a hash: the event
-- {prefix}:{consumer}:pending, :running, :done, :failed, :dead
--                               sorted sets of members by place, end of lease, or end of memory
-- {prefix}:{consumer}:waiting   pending members that are the first of their order, by due time
-- {prefix}:{consumer}:ready     members that may be taken, by place
-- {prefix}:{consumer}:order:{order key}
--                               unfinished members of one order, by place
-- {prefix}:lock:{key}           a hash: a lock
--
-- A member is `{place in 16 digits}:{effect key}`; places count what was accepted or claimed.

local given = cjson.decode(ARGV[2])
local now = given.now_ms
local consumer = KEYS[1] .. ":" .. (given.consumer or "")
local call = redis.call

-- How many members one take looks at whose time has come: others wait while a script runs
local SWEEP_MAX = 1000

-- Lua would write large numbers with an exponent
local function int(number)
  return string.format("%.0f", number)
end

local function set(name)
  return consumer .. ":" .. name
end

local function key_of(effect_key)
  return KEYS[1] .. ":event:" .. effect_key
end

local function load(effect_key)
  local fields = call("HGETALL", key_of(effect_key))
  if #fields == 0 then
    return nil
  end
  local row = {}
  for i = 1, #fields, 2 do
    row[fields[i]] = fields[i + 1]
  end
  return row
end

local function load_member(member)
  return load(string.sub(member, 18))
end

local function save(row, ...)
  local changes = { ... }
  for i = 1, #changes, 2 do
    row[changes[i]] = changes[i + 1]
  end
  call("HSET", key_of(row.effect_key), ...)
end

local function unschedule(member)
  call("ZREM", set("waiting"), member)
  call("ZREM", set("ready"), member)
end

-- What is due need not wait
local function wait(row)
  if tonumber(row.due_at_ms) <= now then
    call("ZADD", set("ready"), row.place, row.member)
  else
    call("ZADD", set("waiting"), row.due_at_ms, row.member)
  end
end

-- Only the first of an order waits for its time
local function schedule(row)
  if row.order_key ~= "" then
    local order = set("order:" .. row.order_key)
    call("ZADD", order, row.place, row.member)
    local first = call("ZRANGE", order, 0, 1)
    if first[1] ~= row.member then
      return
    end
    if first[2] then
      unschedule(first[2])
    end
  end
  wait(row)
end

-- Takes an event out of its order and lets the next of it wait for its time
local function leave_order(row)
  if row.order_key == "" then
    return
  end
  local order = set("order:" .. row.order_key)
  call("ZREM", order, row.member)
  local first = call("ZRANGE", order, 0, 0)[1]
  local next = first and load_member(first)
  if next and next.state == "pending" then
    wait(next)
  end
end

local function enter(row, state, score)
  call("ZREM", set(row.state), row.member)
  unschedule(row.member)
  save(row, "state", state)
  call("ZADD", set(state), score, row.member)
end

local function settle(row, state)
  local forget_at = now + given.retention_ms
  enter(row, state, int(forget_at))
  save(row, "token", "")
  leave_order(row)
  call("PEXPIRE", key_of(row.effect_key), int(given.retention_ms))
  call("ZREMRANGEBYSCORE", set(state), "-inf", int(now))
end

local function await_worker(row, due_at_ms)
  enter(row, "pending", row.place)
  save(row, "token", "", "due_at_ms", int(due_at_ms))
  call("PERSIST", key_of(row.effect_key))
  schedule(row)
end

local function lease(row)
  local due_at_ms = int(now + given.lease_ms)
  enter(row, "running", due_at_ms)
  save(row, "token", given.token, "due_at_ms", due_at_ms, "attempts", int(row.attempts + 1))
  call("PERSIST", key_of(row.effect_key))
  return { "claimed", tonumber(row.attempts), row.id, row.body, tonumber(row.signed_at_seconds), row.server_host }
end

local function make()
  local place = int(call("INCR", set("places")))
  local row = {
    effect_key = given.effect_key,
    member = string.format("%016.0f:%s", place, given.effect_key),
    state = "failed",
  }
  save(row, "effect_key", row.effect_key, "member", row.member, "place", place, "id", given.id,
    "body_sha256", given.body_sha256, "signed_at_seconds", int(given.signed_at_seconds),
    "server_host", given.server_host,
    "state", "failed", "attempts", "0", "body", "", "is_queued", "", "order_key", "",
    "token", "", "due_at_ms", "0", "status", "0")
  return row
end

local function held()
  local row = load(given.effect_key)
  if row and row.state == "running" and row.token == given.token then
    return row
  end
end

-- How an event stands whatever the mode: nil where it may go on
local function known(row)
  if row.body_sha256 ~= given.body_sha256 then
    return { "other_body" }
  elseif row.state == "done" then
    return { "done", tonumber(row.status) }
  end
end

local operations = {}

function operations.claim()
  local row = load(given.effect_key) or make()
  if known(row) then
    return known(row)
  elseif row.state == "running" and tonumber(row.due_at_ms) > now then
    return { "running", tonumber(row.due_at_ms) }
  end
  return lease(row)
end

function operations.accept()
  local row = load(given.effect_key) or make()
  if known(row) then
    return known(row)
  elseif row.state == "dead" then
    return { "dead" }
  elseif row.state == "failed" then
    save(row, "body", ARGV[3], "is_queued", "1", "order_key", given.order_key, "attempts", "0")
    await_worker(row, now)
  end
  return { "accepted" }
end

function operations.take()
  for _, member in ipairs(call("ZRANGEBYSCORE", set("waiting"), "-inf", int(now), "LIMIT", 0, SWEEP_MAX)) do
    call("ZREM", set("waiting"), member)
    call("ZADD", set("ready"), string.sub(member, 1, 16), member)
  end
  for _, member in ipairs(call("ZRANGEBYSCORE", set("running"), "-inf", int(now), "LIMIT", 0, SWEEP_MAX)) do
    local row = load_member(member)
    if row.is_queued ~= "" and tonumber(row.attempts) >= given.attempts_max then
      settle(row, "dead")
    elseif row.is_queued ~= "" then
      call("ZADD", set("ready"), row.place, member)
    end
  end
  local first = call("ZRANGE", set("ready"), 0, 0)[1]
  return first and lease(load_member(first)) or { "empty" }
end

function operations.heartbeat()
  local row = held()
  if row then
    local lease_end = int(now + given.lease_ms)
    enter(row, "running", lease_end)
    save(row, "due_at_ms", lease_end)
  end
  return { row and "held" or "lost" }
end

function operations.settle()
  local row = held()
  if row and given.state == "pending" then
    save(row, "error", given.error)
    await_worker(row, given.due_at_ms)
  elseif row then
    save(row, "status", int(given.status), "error", given.error)
    settle(row, given.state)
  end
  return { row and "held" or "lost" }
end

function operations.stats()
  local counts = {}
  for _, state in ipairs({ "done", "failed", "dead" }) do
    call("ZREMRANGEBYSCORE", set(state), "-inf", int(now))
  end
  for i, state in ipairs({ "pending", "running", "done", "failed", "dead" }) do
    counts[i] = call("ZCARD", set(state))
  end
  return counts
end

function operations.reprocess()
  local row = load(given.effect_key)
  if not row then
    return { "absent" }
  elseif row.state == "running" then
    return { "running" }
  end
  save(row, "attempts", "0")
  if row.is_queued ~= "" then
    await_worker(row, now)
  else
    settle(row, "failed")
  end
  return { "reprocessed" }
end

function operations.forget()
  local row = load(given.effect_key)
  if not row then
    return { "absent" }
  end
  call("ZREM", set(row.state), row.member)
  unschedule(row.member)
  leave_order(row)
  call("DEL", key_of(row.effect_key))
  return { "forgotten" }
end

local function lock_key()
  return KEYS[1] .. ":lock:" .. given.key
end

local function is_locked_by(token)
  return token ~= "" and call("HGET", lock_key(), "token") == token
end

function operations.acquire()
  local token, until_ms, fence = unpack(call("HMGET", lock_key(), "token", "until_ms", "fence"))
  if token and token ~= "" and tonumber(until_ms) > now then
    return { "held_elsewhere", tonumber(until_ms) }
  end
  -- never below the time: so fences rise even if Redis has forgotten the last one
  local next = math.max(tonumber(fence or "0") + 1, now)
  call("HSET", lock_key(), "token", given.token, "until_ms", int(now + given.ttl_ms), "fence", int(next))
  return { "acquired", next }
end

function operations.extend()
  local is_held = is_locked_by(given.token)
  if is_held then
    call("HSET", lock_key(), "until_ms", int(now + given.ttl_ms))
  end
  return { is_held and "held" or "lost" }
end

function operations.release()
  local is_held = is_locked_by(given.token)
  if is_held then
    call("HSET", lock_key(), "token", "")
  end
  return { is_held and "released" or "lost" }
end

return operations[ARGV[1]]()
