"""A flood of logins, and what users who have logged in notice of it.

    /usr/bin/python3 tests/api/flood.py [SECONDS [RATE]]      60 s, 200 logins a second

One client reads its wallet accounts 50 times a second: for a while undisturbed, then under the flood, in one run.
The flood tries unknown names, each from another address, so that neither a name nor an address limits it, with the
defaults of auth_api (bcrypt of cost 12). Exits with 1 when the 99th percentile of the reads is more than twice its
undisturbed value, the flood was not kept up, or the memory of auth_api grew by more than 8 MiB in its second half."""

import http.client
import json
import multiprocessing
import secrets
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from support import tokens
from support.cluster import Cluster
from support.databases import Databases
from support.service import Service

READS_PER_S = 50
CLIENTS = 320
FACTOR_MAX = 2.0
GROWTH_MAX_MIB = 8
SECRET = "canary-" + secrets.token_hex(24)


def connect(port):
    return http.client.HTTPConnection("127.0.0.1", port, timeout=30)


def read_paced(port, token, seconds, out):
    """Milliseconds of each read, at a steady rate from its own process."""
    connection, times = connect(port), []
    headers = {"Authorization": f"Bearer {token}"}
    due = time.monotonic()
    end = due + seconds
    while due < end:
        time.sleep(max(0, due - time.monotonic()))
        began = time.perf_counter()
        connection.request("GET", "/wallet/accounts", headers=headers)
        answer = connection.getresponse()
        answer.read()
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status == 200, answer.status
        due += 1 / READS_PER_S
    out.put(times)


def flood(port, seconds, rate, out):
    """Logins of nobody, from everywhere; {status: how many}, and how long it took to send them."""
    counts, lock, sent = {}, threading.Lock(), []
    began = time.monotonic()

    def client(number):
        connection, mine, last = connect(port), {}, began
        due = began + number / rate
        while due < began + seconds:
            time.sleep(max(0, due - time.monotonic()))
            body = json.dumps({"username": "n" + secrets.token_hex(8), "password": "wrong password"})
            last = time.monotonic()
            source = ".".join(str(1 + secrets.randbelow(250)) for _ in range(4))
            connection.request("POST", "/auth/login", body, {
                "Content-Type": "application/json", "X-Forwarded-For": source})
            answer = connection.getresponse()
            answer.read()
            mine[answer.status] = mine.get(answer.status, 0) + 1
            due += CLIENTS / rate
        with lock:
            sent.append(last - began)
            for status, count in mine.items():
                counts[status] = counts.get(status, 0) + count
    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    out.put((counts, max(sent)))


def start(target, *arguments):
    out = multiprocessing.Queue()
    process = multiprocessing.Process(target=target, args=(*arguments, out))
    process.start()
    return process, out


def percentile(times, share):
    return statistics.quantiles(times, n=1000)[int(share * 10) - 1]


def main(seconds=60, rate=200):
    cluster = Cluster().create()
    services = []
    try:
        databases, folder = Databases(cluster), Path(tempfile.mkdtemp(prefix="pacioli-flood-"))
        services = [Service(f"{name}_api", {**databases.copy(name).environment(),
                                            "JWT_SECRET": SECRET, "TRUSTED_PROXIES": "127.0.0.1"},
                            folder).start() for name in ("auth", "wallet")]
        auth, wallet = services
        token = tokens.access_token("01890a5d-ac96-774b-bcce-b302099a8057", SECRET)
        opener = connect(wallet.port)
        opener.request("POST", "/wallet/accounts", headers={"Authorization": f"Bearer {token}"})
        assert opener.getresponse().status == 201

        reader, out = start(read_paced, wallet.port, token, seconds)
        quiet = out.get()
        reader.join()
        reader, read_out = start(read_paced, wallet.port, token, seconds)
        flooder, flood_out = start(flood, auth.port, seconds, rate)
        memory, health, probe = [auth.memory_mib()], [], connect(auth.port)
        for _ in range(int(seconds)):
            time.sleep(1)
            memory.append(auth.memory_mib())
            began = time.perf_counter()
            probe.request("GET", "/healthz")
            probe.getresponse().read()
            health.append((time.perf_counter() - began) * 1000)
        counts, took = flood_out.get()
        disturbed = read_out.get()
        reader.join()
        flooder.join()
    finally:
        for service in services:
            service.stop()
        cluster.stop()
    sent = sum(counts.values())
    before, after = percentile(quiet, 99), percentile(disturbed, 99)
    growth = memory[-1] - memory[len(memory) // 2]
    print(f"logins: {sent} sent in {took:.1f} s ({sent / took:.0f}/s), "
          + ", ".join(f"{status}: {count}" for status, count in sorted(counts.items())))
    for name, times in (("undisturbed", quiet), ("under the flood", disturbed)):
        print(f"wallet reads {name}: {len(times)}, median {percentile(times, 50):.2f} ms, "
              f"p99 {percentile(times, 99):.2f} ms, most {max(times):.2f} ms")
    print(f"p99 under the flood / undisturbed: {after / before:.2f} (at most {FACTOR_MAX})")
    print(f"memory of auth_api: {memory[0]:.1f} MiB, half-way {memory[len(memory) // 2]:.1f}, "
          f"at the end {memory[-1]:.1f}")
    print(f"/healthz of auth_api under the flood: p99 {percentile(health, 99):.2f} ms")
    good = after <= FACTOR_MAX * before and growth <= GROWTH_MAX_MIB and sent / took >= 0.95 * rate
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
