-- load: drives wrk from a file of request lines, for the scripts of this folder. Prints one line,
-- RES, with requests a second, percentiles and errors.
-- generic HTTP load for wrk. env TARGETS = file of lines METHOD<TAB>PATH<TAB>Header: v|Header: v<TAB>BODY ; {n} becomes a unique id, lines are used in turn.
local T, i, n = {}, 0, 0
for l in io.lines(os.getenv("TARGETS")) do
  local m, p, h, b = l:match("^(.-)\t(.-)\t(.-)\t(.*)$"); local H = {}
  for kv in h:gmatch("[^|]+") do local k, v = kv:match("^(.-): (.*)$"); H[k] = v end
  T[#T + 1] = {m, p, H, b ~= "" and b or nil}
end
local pre = string.format("%d%06d", os.time(), math.floor((os.clock() * 1e6) % 1e6)) .. tostring({}):sub(-6)
request = function()
  i = i % #T + 1; n = n + 1; local t = T[i]; local id = pre .. n
  return wrk.format(t[1], (t[2]:gsub("{n}", id)), t[3], t[4] and (t[4]:gsub("{n}", id)))
end
done = function(s, l, r)
  local e = s.errors
  io.write(string.format("RES %.0f/s p50=%.2fms p99=%.2fms n=%d err=%d\n", s.requests / (s.duration / 1e6), l:percentile(50) / 1000, l:percentile(99) / 1000, s.requests, e.connect + e.read + e.write + e.status + e.timeout))
end
