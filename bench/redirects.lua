-- wrk -tN -cN -dS --latency -s redirects.lua URL -- PATHS [PAUSE]
-- PATHS has one path a line. Each request asks for one of them as one of many visitors; what leads nowhere is counted as wrong.
-- PAUSE: the milliseconds that each connection waits before it asks, none where there is none.
local paths, agents = {}, {
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
  "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
  "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
}

function init(args)
  for line in io.lines(args[1]) do table.insert(paths, line) end
  math.randomseed(os.time() + tonumber(tostring({}):match("0x(%x+)"), 16) % 100000)
  local pause = tonumber(args[2] or 0)
  if pause > 0 then
    -- From half of it to one and a half, so that they do not ask all at once.
    delay = function() return math.floor(pause * (0.5 + math.random())) end
  end
end

function request()
  return wrk.format("GET", paths[math.random(#paths)], {
    ["user-agent"] = agents[math.random(#agents)],
    ["x-forwarded-for"] = string.format("198.%d.%d.%d", math.random(18, 19), math.random(0, 255), math.random(0, 255)),
  })
end

wrong = 0
function response(status, headers)
  if status ~= 302 or not headers["Location"] and not headers["location"] then wrong = wrong + 1 end
end

local threads = {}
function setup(thread) table.insert(threads, thread) end

function done(summary, latency, requests)
  local e, wrong = summary.errors, 0
  for _, thread in ipairs(threads) do wrong = wrong + thread:get("wrong") end
  io.write(string.format("RESULT requests=%d seconds=%.6f p50=%.4f p99=%.4f wrong=%d failed=%d\n", summary.requests,
    summary.duration / 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000, wrong,
    e.connect + e.read + e.write + e.timeout))
end
