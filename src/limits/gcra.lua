-- Counts one request for every key, or for none: the generic cell rate algorithm, as in gcra.rs.
-- KEYS: one per subject. ARGV: interval and window of each, in microseconds.
-- Answers whether it is allowed (1 or 0), then what each subject owes, in microseconds.
-- Time is this server's, one clock for all who ask. A key holds until when its subject owes.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local allowed, debts = 1, {}
for i, key in ipairs(KEYS) do
  local interval, window = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local kept = redis.pcall('GET', key)
  debts[i] = 0
  if type(kept) == 'table' then
    -- Not ours: some other type.
    redis.call('DEL', key)
  elseif kept then
    local until_then = tonumber(kept)
    -- What is no number, or cannot be compared, owes nothing.
    if until_then and until_then > now then debts[i] = until_then - now end
    -- Nobody owes more than a window. Where it says so all the same, the clock was set back or it is not ours: that is
    -- put right, or it would never run out.
    if debts[i] > window then
      debts[i] = window
      redis.call('SET', key, string.format('%.0f', now + window), 'PX', math.ceil(window / 1000))
    end
  end
  if debts[i] + interval > window then allowed = 0 end
end
if allowed == 1 then
  for i, key in ipairs(KEYS) do
    debts[i] = debts[i] + tonumber(ARGV[2 * i - 1])
    redis.call('SET', key, string.format('%.0f', now + debts[i]), 'PX', math.ceil(debts[i] / 1000))
  end
end
table.insert(debts, 1, allowed)
return debts
