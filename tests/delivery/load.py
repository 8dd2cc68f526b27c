"""Deposits without a pause, through deployments, and the proof that none was lost.

usage: load.py run --auth URL --wallet URL --record FILE [--clients N]
       load.py check --wallet URL --record FILE

run: every client registers a user, opens an account and deposits 1.00 again and again, each with a
key of its own. A request whose answer does not come is sent again with the same key until there is
one. What was acknowledged is written down (fsync) before the next request. Ends at SIGTERM.

check: every acknowledged deposit is in the history of its account exactly once, there is no other,
and the balance is their sum. Prints the counts; exits with 1 when anything is missing.
"""

import argparse
import http.client
import json
import os
import signal
import sys
import threading
import time
import urllib.parse
import uuid

stopping = threading.Event()
PASSWORD = "correct horse battery"


class Api:
    """One address, a connection for each request: a deployment changes who listens."""

    def __init__(self, url):
        self.host = urllib.parse.urlsplit(url).netloc

    def call(self, method, path, body=None, token=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection(self.host, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    def insist(self, method, path, body=None, token=None, give_up=None):
        """Until an answer comes that says yes or no: (status, body, number of tries)."""
        tries = 0
        while not (give_up and give_up()):
            tries += 1
            try:
                status, answer = self.call(method, path, body, token)
                if status < 500 and status != 429:
                    return status, answer, tries
            except (OSError, http.client.HTTPException, ValueError):
                pass
            time.sleep(0.1)
        return None, None, tries


class Record:
    def __init__(self, path):
        self.stream = open(path, "a", encoding="utf-8")
        self.lock = threading.Lock()

    def write(self, **facts):
        with self.lock:
            self.stream.write(json.dumps(facts) + "\n")
            self.stream.flush()
            os.fsync(self.stream.fileno())


def client(auth, wallet, record):
    user = {"username": f"load-{uuid.uuid4().hex[:12]}", "password": PASSWORD}
    status, answer, _ = auth.insist("POST", "/users/", user)
    assert status in (200, 201, 400), (status, answer)
    status, answer, _ = auth.insist("POST", "/auth/login", user)
    assert status == 200, (status, answer)
    token = answer["access_token"]
    status, answer, _ = wallet.insist("POST", "/wallet/accounts", token=token)
    assert status == 201, (status, answer)
    account = answer["id"]
    record.write(account=account, user=user)
    deadline = None
    while not stopping.is_set():
        key = f"load-{uuid.uuid4().hex}"
        body = {"account_id": account, "amount": "1.00", "idempotency_key": key}

        # At the end an open request still gets its answer, within half a minute.
        def give_up():
            nonlocal deadline
            if stopping.is_set() and deadline is None:
                deadline = time.monotonic() + 30
            return deadline is not None and time.monotonic() > deadline

        status, answer, tries = wallet.insist("POST", "/wallet/deposit", body, token, give_up)
        if status is None:
            record.write(unknown=key, account=account)
        elif status == 200 or (status == 409 and tries > 1):
            record.write(acknowledged=key, account=account, tries=tries, at=time.time())
        else:
            record.write(wrong=key, account=account, status=status, answer=answer)
        time.sleep(0.02)


def run(options):
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    record = Record(options.record)
    auth, wallet = Api(options.auth), Api(options.wallet)
    threads = [threading.Thread(target=client, args=(auth, wallet, record), daemon=True)
               for _ in range(options.clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.2)


def history_count(wallet, account, token):
    """Number of deposits of an account, and their sum, read page by page."""
    offset = 0
    while True:
        status, page, _ = wallet.insist(
            "GET", f"/wallet/accounts/{account}/transactions?limit=100&offset={offset}", token=token)
        assert status == 200, (status, page)
        yield from page
        if len(page) < 100:
            return
        offset += 100


def check(options):
    with open(options.record, encoding="utf-8") as stream:
        facts = [json.loads(line) for line in stream]
    users = {fact["account"]: fact["user"] for fact in facts if "user" in fact}
    auth, wallet = Api(options.auth), Api(options.wallet)
    problems, total, repeated = [], 0, 0
    for fact in facts:
        if "wrong" in fact or "unknown" in fact:
            problems.append(f"neither yes nor no: {fact}")
    for account, user in users.items():
        acknowledged = [fact for fact in facts
                        if fact["account"] == account and "acknowledged" in fact]
        total += len(acknowledged)
        repeated += sum(fact["tries"] > 1 for fact in acknowledged)
        status, answer, _ = auth.insist("POST", "/auth/login", user)
        assert status == 200, (status, answer)
        token = answer["access_token"]
        rows = list(history_count(wallet, account, token))
        status, accounts, _ = wallet.insist("GET", "/wallet/accounts", token=token)
        balance = next(entry["balance"] for entry in accounts if entry["id"] == account)
        expected = f"{len(acknowledged)}.00"
        if len(rows) != len(acknowledged) or balance != expected:
            problems.append(f"account {account}: {len(acknowledged)} deposits acknowledged, "
                            f"{len(rows)} in the history, balance {balance}")
    print(f"{len(users)} accounts, {total} deposits acknowledged, {repeated} of them at a later try,"
          f" {len(problems)} problems")
    for problem in problems[:10]:
        print(problem)
    sys.exit(1 if problems or total == 0 else 0)


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("command", choices=["run", "check"])
    parser.add_argument("--auth", required=True)
    parser.add_argument("--wallet", required=True)
    parser.add_argument("--record", required=True)
    parser.add_argument("--clients", type=int, default=4)
    options = parser.parse_args()
    {"run": run, "check": check}[options.command](options)


if __name__ == "__main__":
    main()
