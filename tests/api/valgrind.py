"""Runs both services under valgrind, sends 1,000 requests of each kind, and fails on any leak or error.

    /usr/bin/python3 tests/api/valgrind.py [COUNT]

Needs the release build (ops/test makes it) and takes some minutes, so it is a command of its own."""

import http.client
import json
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

os.environ["TEST_SLOW"] = "1"  # limits of time for a slow program

from support.api import new_key, new_name  # noqa: E402
from support.cluster import Cluster  # noqa: E402
from support.databases import Databases  # noqa: E402
from support.service import Service  # noqa: E402
from support.tokens import access_token, claims_of  # noqa: E402

SECRET = secrets.token_hex(32)
FOUND = 99  # valgrind's exit status when it found something


class Client:
    def __init__(self, service, token=None):
        self.connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
        self.headers = {"Content-Type": "application/json"}
        self.used = 0.0
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def __call__(self, method, path, body=None, **headers):
        if time.monotonic() - self.used > 5:
            self.connection.close()  # the service closes idle connections after ten seconds
        self.used = time.monotonic()
        text = body if isinstance(body, (str, type(None))) else json.dumps(body)
        self.connection.request(method, path, text, {**self.headers, **headers})
        answer = self.connection.getresponse()
        return answer.status, answer.read()


def expect(status, answer):
    assert answer[0] == status, f"expected {status}: {answer}"
    return json.loads(answer[1]) if answer[1].startswith((b"{", b"[")) else answer[1]


def repeat(what, count, call):
    began = time.monotonic()
    for number in range(count):
        call(number)
    print(f"{count:>5} × {what:<34} {time.monotonic() - began:6.1f} s", flush=True)


def common(name, client, count):
    repeat(f"{name}: health", count, lambda _: expect(200, client("GET", "/healthz")))
    repeat(f"{name}: ready", count, lambda _: expect(200, client("GET", "/readyz")))
    repeat(f"{name}: metrics", count // 10, lambda _: expect(200, client("GET", "/metrics")))
    repeat(f"{name}: docs", count // 10, lambda _: expect(200, client("GET", "/docs")))
    repeat(f"{name}: document", count // 10, lambda _: expect(200, client("GET", "/openapi.json")))
    repeat(f"{name}: no such path", count, lambda _: expect(404, client("GET", "/nothing/here")))
    repeat(f"{name}: no such method", count, lambda _: expect(405, client("DELETE", "/healthz")))


def auth_requests(service, count):
    client = Client(service)
    common("auth", client, count)
    user = {"username": new_name(), "password": "correct horse battery"}
    expect(200, client("POST", "/users/", user))
    repeat("register", count, lambda _: expect(200, client(
        "POST", "/users/", {**user, "username": new_name()})))
    repeat("register a taken name", count, lambda _: expect(400, client("POST", "/users/", user)))
    repeat("register wrongly", count, lambda _: expect(422, client("POST", "/users/", {})))
    repeat("log in", count, lambda _: expect(200, client("POST", "/auth/login", user)))
    repeat("log in wrongly", count, lambda _: expect(401, client(
        "POST", "/auth/login", {**user, "password": "wrong password"})))
    repeat("broken JSON", count, lambda _: expect(400, client("POST", "/auth/login", "{")))
    token = expect(200, client("POST", "/auth/login", user))["access_token"]
    assert "sub" in claims_of(token)


def wallet_requests(service, count):
    client = Client(service, access_token("00000000-0000-4000-8000-000000000001", SECRET, 36000))
    stranger = Client(service, access_token("00000000-0000-4000-8000-000000000002", SECRET, 36000))
    nobody = Client(service)
    common("wallet", nobody, count)
    ids = []
    repeat("open account", count, lambda _: ids.append(
        expect(201, client("POST", "/wallet/accounts"))["id"]))
    first, second = ids[0], ids[1]

    def money(path, status, sender=client, headers=None, **body):
        body = {"amount": "1.00", "idempotency_key": new_key(), **body}
        return expect(status, sender("POST", f"/wallet/{path}", body, **(headers or {})))

    repeat("deposit", count, lambda _: money("deposit", 200, account_id=first, amount="10.00"))
    repeat("withdraw", count, lambda _: money("withdraw", 200, account_id=first))
    repeat("transfer", count, lambda _: money("transfer", 200, from_account_id=first,
                                              to_account_id=second))
    repeat("insufficient funds", count, lambda _: money("withdraw", 400, account_id=ids[2]))
    repeat("someone else's account", count, lambda _: money("deposit", 404, stranger,
                                                            account_id=first))
    repeat("wrong fields", count, lambda _: money("deposit", 422, account_id="no", amount="-1"))
    key = new_key()
    money("deposit", 200, account_id=first, idempotency_key=key)
    repeat("used key", count, lambda _: money("deposit", 409, account_id=first,
                                              idempotency_key=key))
    repeat("replay", count, lambda _: money("deposit", 200, account_id=first, idempotency_key=key,
                                            headers={"Idempotency-Key": key}))
    posted = money("deposit", 200, account_id=first)["transaction"]
    operation = {"type": "deposit", "account_id": first, "amount": "1.00"}
    repeat("batch of ten", count, lambda _: expect(200, client("POST", "/wallet/batch", {
        "operations": [{**operation, "idempotency_key": new_key()} for _ in range(10)]})))
    repeat("one account", count, lambda _: expect(200, client("GET", f"/wallet/accounts/{first}")))
    repeat("list accounts", count // 10, lambda _: expect(200, client("GET", "/wallet/accounts")))
    repeat("history", count, lambda _: expect(200, client(
        "GET", f"/wallet/accounts/{first}/transactions?limit=20")))
    repeat("transaction", count, lambda _: expect(200, client(
        "GET", f"/wallet/transactions/{posted}")))
    repeat("no token", count, lambda _: expect(401, nobody("GET", "/wallet/accounts")))


def main():
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    cluster = Cluster().create()
    databases = Databases(cluster)
    failed = []
    with tempfile.TemporaryDirectory(prefix="pacioli-valgrind-") as folder:
        wrapper = ["valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=definite,indirect",
                   "--errors-for-leak-kinds=definite,indirect", f"--error-exitcode={FOUND}"]
        for name, project, requests in (("auth_api", "auth", auth_requests),
                                        ("wallet_api", "wallet", wallet_requests)):
            service = Service(name, {
                **databases.copy(project).environment(), "JWT_SECRET": SECRET, "BCRYPT_COST": "4",
                "ACCOUNTS_PER_OWNER_MAX": "10000", "THREADS": "2", "REQUEST_TIMEOUT_MS": "30000",
                "LOG_LEVEL": "warn",
            }, Path(folder), wrapper=wrapper)
            try:
                service.start(wait=False)
                service.wait_ready(seconds=60)
                requests(service, count)
                service.stop()
                print(f"{name}: no error, nothing lost", flush=True)
            except AssertionError as error:
                failed.append(name)
                print(f"{name}: {error}", flush=True)
            finally:
                if service.process:
                    service.process.kill()
            report = [line for line in service.log_text().splitlines()
                      if line.startswith("==") or name in failed]
            print("\n".join(report[:60]))
    cluster.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
