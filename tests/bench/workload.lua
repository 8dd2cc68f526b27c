-- What wrk sends. Arguments after "--": KIND ACCOUNTS_FILE TOKEN_FILE TAG [BATCH_SIZE]
-- KIND: uniform, zipf, hot (one transfer each), batch, balance, history; mixed: half transfers, the
-- rest balances, histories and small batches.
-- At the end one line of JSON, which run.py reads.

local accounts, header, tag, kind, size = {}, nil, nil, nil, 100
local thread_number, sent = 0, 0
local cumulative

function setup(thread)
    thread:set("number", thread_number)
    thread_number = thread_number + 1
end

local function read_all(path)
    local file = assert(io.open(path))
    local text = file:read("*a")
    file:close()
    return text
end

-- Zipf with exponent 0.99 over the accounts' order in the file.
local function make_zipf()
    cumulative = {}
    local sum = 0
    for rank = 1, #accounts do
        sum = sum + 1 / rank ^ 0.99
        cumulative[rank] = sum
    end
end

local function zipf()
    local point = math.random() * cumulative[#cumulative]
    local low, high = 1, #cumulative
    while low < high do
        local middle = math.floor((low + high) / 2)
        if cumulative[middle] < point then low = middle + 1 else high = middle end
    end
    return low
end

local function uniform() return math.random(#accounts) end
local function first() return 1 end

local pick = uniform

function init(arguments)
    kind = arguments[1]
    for id in read_all(arguments[2]):gmatch("%S+") do accounts[#accounts + 1] = id end
    tag = arguments[4] .. "-" .. number .. "-"
    size = tonumber(arguments[5] or "100")
    math.randomseed(os.time() + number * 7919)
    header = {
        ["Authorization"] = "Bearer " .. read_all(arguments[3]):gsub("%s", ""),
        ["Content-Type"] = "application/json",
    }
    if kind == "zipf" then make_zipf() pick = zipf end
    if kind == "hot" then pick = first end
end

local function transfer(more)
    sent = sent + 1
    local from, to = pick(), nil
    repeat to = kind == "hot" and uniform() or pick() until to ~= from
    return string.format(
        '{%s"from_account_id":"%s","to_account_id":"%s","amount":"0.%02d","idempotency_key":"%s%d"}',
        more, accounts[from], accounts[to], math.random(99), tag, sent)
end

local function batch()
    local operations = {}
    for i = 1, size do operations[i] = transfer('"type":"transfer",') end
    return '{"operations":[' .. table.concat(operations, ",") .. "]}"
end

local shares = { "transfer", "transfer", "transfer", "transfer", "transfer", "balance", "balance",
    "history", "history", "batch" }

function request()
    local kind = kind == "mixed" and shares[math.random(#shares)] or kind
    if kind == "balance" then
        return wrk.format("GET", "/wallet/accounts/" .. accounts[uniform()], header)
    elseif kind == "history" then
        return wrk.format("GET", "/wallet/accounts/" .. accounts[uniform()] .. "/transactions", header)
    elseif kind == "batch" then
        return wrk.format("POST", "/wallet/batch", header, batch())
    end
    return wrk.format("POST", "/wallet/transfer", header, transfer(""))
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format(
        '\n{"requests":%d,"duration_us":%d,"refused":%d,"broken":%d,"p50_us":%d,"p99_us":%d}\n',
        summary.requests, summary.duration, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
