-- wrk -t1 -cN -dS --latency -s post.lua URL -- FILE START
-- FILE has one request a line: token, tab, body. They are sent in turn from line START on; where it stopped is printed.
-- After FILE and START, PAUSE: the milliseconds that each connection waits before it sends, none where there is none. Where there is one, what
-- counts are the whole seconds of the clock from the one on in which all have begun to send.
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

refused, wrong, first, last, accepted_in, refused_in = 0, 0, nil, nil, {}, {}
function response(status, headers, body)
  if pause > 0 then
    last = os.time()
    first = first or last
    local counts = status == 503 and refused_in or accepted_in
    counts[last] = (counts[last] or 0) + 1
  end
  if status == 503 then
    refused = refused + 1
  elseif status ~= 200 or body:find('"errors":[', 1, true) or body:find('"userErrors":[{', 1, true) then
    wrong = wrong + 1
    if wrong < 3 then io.write("WRONG ", status, " ", body:sub(1, 400), "\n") end
  end
end

local threads = {}
function setup(thread) table.insert(threads, thread) end

function done(summary, latency, requests)
  local e, t = summary.errors, threads[1]
  local count, seconds, refused = summary.requests, summary.duration / 1e6, t:get("refused")
  if t:get("first") then
    count, seconds, refused = 0, 0, 0
    local accepted_in, refused_in = t:get("accepted_in"), t:get("refused_in")
    -- The first pauses are one and a half of it at most.
    for second = t:get("first") + 1 + math.ceil(1.5 * t:get("pause") / 1000), t:get("last") - 1 do
      seconds = seconds + 1
      refused = refused + (refused_in[second] or 0)
      count = count + (accepted_in[second] or 0) + (refused_in[second] or 0)
    end
  end
  io.write(string.format("RESULT requests=%d seconds=%.6f p50=%.4f p99=%.4f refused=%d wrong=%d failed=%d position=%d\n",
    count, seconds, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    refused, t:get("wrong"), e.connect + e.read + e.write + e.timeout, t:get("position") or 0))
end
