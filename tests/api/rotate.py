"""Rotates the keys of access tokens ten times under 200 requests a second, then withdraws one.

    /usr/bin/python3 tests/api/rotate.py [ROTATIONS [SECONDS_BETWEEN]]

Clients log in, call wallet_api at a steady rate and log out again, so that tokens of every key are about.
Not one may be refused before its session is ended. At the end the active key is withdrawn, and two sessions
are: how long tokens are still accepted is measured by calls that follow each other without a pause. Exits
with 1 when a token was refused wrongly, the rate was not kept, or a second was too short."""

import http.client
import json
import secrets
import sys
import tempfile
import threading
import time
from pathlib import Path

from support.api import new_name
from support.cluster import Cluster
from support.databases import Databases
from support.trust import PASSWORD, Trust

RATE = 200
CLIENTS = 8
CALLS_PER_TOKEN = 60
WITHIN_S = 1.0


class Client:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def __call__(self, method, path, token=None, body=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        self.connection.request(method, path, json.dumps(body) if body is not None else None,
                                headers)
        answer = self.connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None


class Load:
    def __init__(self, trust):
        self.trust = trust
        self.stopping = threading.Event()
        self.statuses, self.problems = {}, []
        self.threads = [threading.Thread(target=self.guarded) for _ in range(CLIENTS)]

    def guarded(self):
        try:
            self.run()
        except Exception as error:  # told at the end
            self.problems.append(repr(error))

    def run(self):
        auth, wallet = Client(self.trust.auth_service.port), Client(self.trust.wallet_service.port)
        user = {"username": new_name(), "password": PASSWORD}
        assert auth("POST", "/users/", body=user)[0] == 200
        due = time.monotonic()
        while not self.stopping.is_set():
            status, pair = auth("POST", "/auth/login", body=user)
            assert status == 200, (status, pair)
            token = pair["access_token"]
            for number in range(CALLS_PER_TOKEN):
                if number == CALLS_PER_TOKEN // 2:
                    status, pair = auth("POST", "/auth/refresh",
                                        body={"refresh_token": pair["refresh_token"]})
                    assert status == 200, (status, pair)
                    token = pair["access_token"]
                status = wallet("GET", "/wallet/accounts", token)[0]
                self.statuses[status] = self.statuses.get(status, 0) + 1
                due += CLIENTS / RATE
                time.sleep(max(0.0, due - time.monotonic()))
            assert auth("POST", "/auth/logout", token)[0] == 204


def refused_after(trust, begin):
    """Seconds from the end of `begin` to the first refusal; a call a millisecond or so."""
    login = trust.person().login()
    wallet, token = Client(trust.wallet_service.port), login.pair["access_token"]
    assert wallet("GET", "/wallet/accounts", token)[0] == 200
    begin(login)
    began, calls = time.monotonic(), 0
    while wallet("GET", "/wallet/accounts", token)[0] == 200:
        calls += 1
        assert time.monotonic() - began < 10, "still accepted after 10 s"
    return time.monotonic() - began, calls


def main():
    rotations = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    between_s = float(sys.argv[2]) if len(sys.argv) > 2 else 6.0
    cluster = Cluster().create()
    try:
        with tempfile.TemporaryDirectory(prefix="pacioli-rotate-") as folder:
            return run(Databases(cluster), Path(folder), rotations, between_s)
    finally:
        cluster.stop()


def run(databases, folder, rotations, between_s):
    common = {"JWT_SECRET": secrets.token_hex(32), "THREADS": "2"}
    trust = Trust({**databases.copy("auth").environment(), **common, "BCRYPT_COST": "4"},
                  {**databases.copy("wallet").environment(), **common}, folder).start()
    load = Load(trust)
    began = time.monotonic()
    for thread in load.threads:
        thread.start()
    for number in range(rotations):
        time.sleep(between_s)
        print(f"rotation {number + 1:2}: {len(trust.keys.states('rotate'))} keys, "
              f"{load.statuses}", flush=True)
    time.sleep(between_s)
    took_s = time.monotonic() - began
    load.stopping.set()
    for thread in load.threads:
        thread.join(30)
    ends = {
        "logout": lambda login: login.auth("POST", "/auth/logout"),
        "key withdrawn": lambda login: trust.keys.run("withdraw", trust.keys.name("active")),
    }
    good = load.statuses.keys() == {200} and not load.problems
    rate = sum(load.statuses.values()) / took_s
    print(f"{rate:.0f} calls a second: {load.statuses} {load.problems or ''}")
    for name, end in ends.items():
        worst = max(refused_after(trust, end) for _ in range(5))
        good = good and worst[0] < WITHIN_S
        print(f"{name}: refused after {worst[0] * 1000:.0f} ms at worst of 5 ({worst[1]} calls)")
    trust.stop()
    good = good and rate > 0.9 * RATE
    print("as it should be" if good else "NOT as it should be")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
