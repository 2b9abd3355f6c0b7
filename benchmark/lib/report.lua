-- wrk's result as one line of plain numbers, and random ranges if arguments ask for them.

function init(args)
  if #args < 3 then return end
  local size, length = tonumber(args[1]), tonumber(args[2])
  math.randomseed(tonumber(args[3]))
  request = function()
    local start = math.random(0, size - length)
    return wrk.format(nil, nil, { Range = string.format("bytes=%d-%d", start, start + length - 1) })
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("rs-sendfile %d %.0f %d %.0f %.0f %d %d %d %d %d\n",
    summary.requests, summary.bytes, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
