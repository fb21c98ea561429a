-- wrk -t1 -cN -dS --latency -s post.lua URL -- FILE START
-- FILE has one request a line: token, tab, body. They are sent in turn from line START on; where it stopped is printed.
-- After FILE and START, PAUSE: the milliseconds that each connection waits before it sends, none where there is none. Where there is one, what
-- is counted are the answers of whole seconds of the clock, from the first one on at whose beginning all have begun to send.
local requests, n, i = {}, 0, 0

function init(args)
  for line in io.lines(args[1]) do
    local token, body = line:match("^(%S+)\t(.*)$")
    n = n + 1
    requests[n] = wrk.format("POST", nil, {
      ["content-type"] = "application/json", ["accept"] = "application/json", ["authorization"] = "Bearer " .. token,
    }, body)
  end
  i = tonumber(args[2])
  pause = tonumber(args[3] or 0)
  if pause > 0 then
    -- From half of it to one and a half, so that they do not send all at once.
    delay = function() return math.floor(pause * (0.5 + math.random())) end
  end
end

local asked = false
function request()
  -- wrk asks once before it begins, to look at what it would send.
  if not asked then
    asked = true
    return requests[i % n + 1]
  end
  i = i % n + 1
  position = i
  return requests[i]
end

-- Numbers each: a thread's tables are not to be had from outside.
seconds, answered, refused, wrong = 0, 0, 0, 0
-- The clock's second that is not over, and what there was in it.
local first, current, answered_now, refused_now, wrong_now = nil, nil, 0, 0, 0

local function count()
  answered, refused, wrong = answered + answered_now, refused + refused_now, wrong + wrong_now
end

function response(status, headers, body)
  local now = pause > 0 and os.time() or 0
  first = first or now
  if now ~= current then
    if current and current >= first + 1 + pause / 1000 then
      seconds = seconds + now - current
      count()
    end
    current, answered_now, refused_now, wrong_now = now, 0, 0, 0
  end
  answered_now = answered_now + 1
  if status == 503 then
    refused_now = refused_now + 1
  elseif status ~= 200 or body:find('"errors":[', 1, true) or body:find('"userErrors":[{', 1, true) then
    wrong_now = wrong_now + 1
    if wrong + wrong_now < 3 then io.write("WRONG ", status, " ", body:sub(1, 400), "\n") end
  end
  if pause == 0 then
    count()
    answered_now, refused_now, wrong_now = 0, 0, 0
  end
end

local threads = {}
function setup(thread) table.insert(threads, thread) end

function done(summary, latency, requests)
  local e, t = summary.errors, threads[1]
  local paced = t:get("pause") > 0
  io.write(string.format("RESULT requests=%d seconds=%.6f p50=%.4f p99=%.4f refused=%d wrong=%d failed=%d position=%d\n",
    t:get("answered"), paced and t:get("seconds") or summary.duration / 1e6, latency:percentile(50) / 1000,
    latency:percentile(99) / 1000, t:get("refused"), t:get("wrong"), e.connect + e.read + e.write + e.timeout, t:get("position") or 0))
end
