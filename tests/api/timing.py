"""Can the four failures of a login be told apart by their time?

    /usr/bin/python3 tests/api/timing.py [PAIRS]      1,000 of each, at bcrypt's cost 4 and THREADS=1

Logins of an unknown name, a wrong password, a disabled user and a locked name, in random order, on a connection that is
kept, and on fresh ones. Each is compared with the wrong password by pairs: the bootstrap's 95 % interval of the median
of the differences must lie within 1 ms, and Wilcoxon's signed-rank test must not reject that there is none (p > 0.01
divided by the number of comparisons). Exits with 1 when one can be told. The cost is low so that what differs is not
hidden by the noise of a long hash."""

import http.client
import json
import math
import random
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

from support.api import Auth, new_name
from support.cluster import Cluster
from support.databases import Databases
from support.service import Service

PASSWORD = "correct horse battery"
WITHIN_MS = 1.0
P_MIN = 0.01
ROUNDS = 2000
UNLIMITED = {"LOGIN_FREE_FAILURES": "1000", "LOGIN_FAILURES_MAX": "100000",
             "LOGIN_ADDRESS_BURST": "1000000", "LOGIN_ALL_BURST": "1000000",
             "LOGIN_KNOWN_FREE_FAILURES": "1000"}


def wilcoxon_p(differences):
    """Two-sided, by the normal approximation with ties; zeros are left out."""
    values = [value for value in differences if value != 0]
    ranked = sorted(values, key=abs)
    ranks, ties, start = {}, 0, 0
    while start < len(ranked):
        stop = start
        while stop < len(ranked) and abs(ranked[stop]) == abs(ranked[start]):
            stop += 1
        ranks[abs(ranked[start])] = (start + 1 + stop) / 2
        ties += (stop - start) ** 3 - (stop - start)
        start = stop
    n = len(values)
    positive = sum(ranks[abs(value)] for value in values if value > 0)
    mean = n * (n + 1) / 4
    deviation = math.sqrt(n * (n + 1) * (2 * n + 1) / 24 - ties / 48)
    return math.erfc(abs(positive - mean) / deviation / math.sqrt(2))


def bootstrap(differences):
    """The 95 % interval of the median."""
    medians = sorted(statistics.median(random.choices(differences, k=len(differences)))
                     for _ in range(ROUNDS))
    return medians[int(ROUNDS * 0.025)], medians[int(ROUNDS * 0.975)]


class Client:
    def __init__(self, port, fresh):
        self.port, self.fresh, self.connection = port, fresh, None

    def login_ms(self, name, password):
        body = json.dumps({"username": name, "password": password})
        if self.connection is None or self.fresh:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            self.connection.connect()
        began = time.perf_counter()
        self.connection.request("POST", "/auth/login", body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        answer.read()
        took = (time.perf_counter() - began) * 1000
        assert answer.status == 401, answer.status
        if self.fresh:
            self.connection.close()
        return took


def measure(client, cases, pairs, reset):
    times = {name: [] for name in cases}
    for _ in range(pairs):
        order = list(cases)
        random.shuffle(order)
        for name in order:
            reset()  # before each of them alike
            times[name].append(client.login_ms(*cases[name]))
    return times


def main(pairs=1000):
    cluster = Cluster().create()
    service = None
    try:
        databases, folder = Databases(cluster), Path(tempfile.mkdtemp(prefix="pacioli-timing-"))
        database = databases.copy("auth")
        service = Service("auth_api", {
            **database.environment(), **UNLIMITED, "JWT_SECRET": secrets.token_hex(24),
            "BCRYPT_COST": "4", "THREADS": "1"}, folder).start()
        auth = Auth(service)
        names = {name: new_name(name) for name in ("wrong", "disabled", "locked")}
        for name in names.values():
            assert auth.register(name, PASSWORD).status_code == 200
        database.execute("UPDATE auth.users SET disabled_at = now() WHERE username = %s",
                         (names["disabled"],))

        unknown = new_name("unknown")
        assert auth.login(names["locked"], PASSWORD).status_code == 200
        database.execute("DELETE FROM auth.guess")
        auth.login(names["locked"], "wrong password")
        database.execute("UPDATE auth.guess SET failures = 100001")
        connection = database.connect()

        def reset():
            """Nobody waits, and nobody but the locked name comes near a limit."""
            connection.execute("UPDATE auth.guess SET wait_until = '-infinity',"
                               " failures = CASE WHEN failures < 100000 THEN 1 ELSE failures END")

        cases = {"wrong password": (names["wrong"], "wrong password"),
                 "unknown user": (unknown, PASSWORD),
                 "disabled user": (names["disabled"], PASSWORD),
                 "locked name": (names["locked"], PASSWORD)}
        bad = 0
        comparisons = 2 * (len(cases) - 1)
        for fresh in (False, True):
            times = measure(Client(service.port, fresh), cases, int(pairs), reset)
            for name in cases:
                if name == "wrong password":
                    continue
                differences = [one - other for one, other in
                               zip(times[name], times["wrong password"])]
                low, high = bootstrap(differences)
                p = wilcoxon_p(differences)
                told = not (-WITHIN_MS <= low and high <= WITHIN_MS) or p <= P_MIN / comparisons
                bad += told
                print(f"{'fresh' if fresh else 'kept '} connection, {name}: "
                      f"{len(differences)} pairs, median "
                      f"{statistics.median(times[name]):.3f} ms against "
                      f"{statistics.median(times['wrong password']):.3f}; difference "
                      f"{statistics.median(differences):+.4f} ms, 95 % [{low:+.4f}, {high:+.4f}], "
                      f"Wilcoxon p {p:.3f}{'  <- TOLD APART' if told else ''}", flush=True)
        return 1 if bad else 0
    finally:
        if service:
            service.stop()
        cluster.stop()


if __name__ == "__main__":
    sys.exit(main(*map(float, sys.argv[1:])))
