"""The two services as their clients see them."""

import functools
import secrets
import socket
import uuid

import httpcore
import httpx
from httpcore.backends.sync import SyncBackend

from support import recorder, tokens
from support.settings import scaled

PROBLEM = "application/problem+json"
NOBODY = "00000000-0000-7000-8000-000000000000"  # an id that no account has


def new_key(label="key"):
    return f"{label}-{secrets.token_hex(8)}"


def new_name(label="user"):
    return f"{label}_{secrets.token_hex(6)}"


class NoDelay(SyncBackend):
    """Debian's httpcore sends head and body apart and leaves Nagle's algorithm on: without this
    every POST waits 40 ms for an acknowledgement."""

    def connect_tcp(self, *arguments, **more):
        stream = super().connect_tcp(*arguments, **more)
        stream.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream


def http_client(service, **more):
    """Its answers are remembered, see recorder."""
    transport = httpx.HTTPTransport(verify=False)  # no TLS here: reading certificates takes time
    transport._pool = httpcore.ConnectionPool(max_connections=None, network_backend=NoDelay())
    hooks = {"response": [functools.partial(recorder.record, service.name)]}
    return httpx.Client(base_url=service.url, timeout=scaled(10), trust_env=False,
                        transport=transport, event_hooks=hooks, **more)


class Auth:
    def __init__(self, service):
        self.service = service
        self.http = http_client(service)

    def register(self, username, password):
        return self.http.post("/users/", json={"username": username, "password": password})

    def login(self, username, password):
        return self.http.post("/auth/login", json={"username": username, "password": password})


class User:
    """Somebody with a token for wallet_api; known to auth_api or not is all the same to it."""

    def __init__(self, service, secret, token=None, user_id=None):
        self.id = str(user_id or uuid.uuid4())
        self.token = token or tokens.access_token(self.id, secret)
        self.http = http_client(service, headers={"Authorization": f"Bearer {self.token}"})

    # ---- the calls of the contract ----

    def accounts(self):
        return self.http.get("/wallet/accounts")

    def open(self, **body):
        return self.http.post("/wallet/accounts", json=body) if body else self.http.post(
            "/wallet/accounts")

    def money(self, operation, body, headers=None):
        return self.http.post(f"/wallet/{operation}", json=body, headers=headers)

    def deposit(self, account, amount, key=None, **more):
        return self.money("deposit", {"account_id": account, "amount": amount,
                                      "idempotency_key": key or new_key(), **more})

    def withdraw(self, account, amount, key=None, **more):
        return self.money("withdraw", {"account_id": account, "amount": amount,
                                       "idempotency_key": key or new_key(), **more})

    def transfer(self, source, destination, amount, key=None, **more):
        return self.money("transfer", {"from_account_id": source, "to_account_id": destination,
                                       "amount": amount, "idempotency_key": key or new_key(),
                                       **more})

    def control(self, account, action, reason="a test", **more):
        """freeze, unfreeze, close: for operators."""
        return self.http.post(f"/wallet/accounts/{account}/{action}",
                              json={"reason": reason, **more})

    def reverse(self, transaction, reason="a test", key=None, headers=None):
        """For operators; the key goes into the body, unless it is in a header."""
        keys = {} if headers and key is None else {"idempotency_key": key or new_key()}
        return self.http.post(f"/wallet/transactions/{transaction}/reverse",
                              json={"reason": reason, **keys}, headers=headers)

    def history(self, account, **query):
        return self.http.get(f"/wallet/accounts/{account}/transactions", params=query)

    # ---- shortcuts that must succeed ----

    def account(self, funds=None, **body):
        """The id of a new account, with money in it if `funds` is given."""
        response = self.open(**body)
        assert response.status_code == 201, f"opening an account: {response.text}"
        account = response.json()["id"]
        if funds is not None:
            response = self.deposit(account, funds)
            assert response.status_code == 200, f"a deposit of {funds}: {response.text}"
        return account

    def balance(self, account):
        response = self.http.get(f"/wallet/accounts/{account}")
        assert response.status_code == 200, f"reading account {account}: {response.text}"
        return response.json()["balance"]

    def rows(self, account):
        """The whole history, oldest first, through pages of 100."""
        rows = []
        while True:
            response = self.history(account, limit=100, offset=len(rows))
            assert response.status_code == 200, f"history of {account}: {response.text}"
            page = response.json()
            rows += page
            if len(page) < 100:
                return rows[::-1]


def assert_ok(response, status=200):
    assert response.status_code == status, (
        f"expected {status}, got {response.status_code}: {response.text[:500]}")
    media_type = response.headers.get("content-type", "").split(";")[0]
    assert media_type == "application/json", f"expected application/json, got {media_type!r}"
    return response.json()


def assert_problem(response, status, detail=None):
    """RFC 9457, with everything the contract asks of an error."""
    assert response.status_code == status, (
        f"expected {status}, got {response.status_code}: {response.text[:500]}")
    media_type = response.headers.get("content-type", "").split(";")[0]
    assert media_type == PROBLEM, f"expected {PROBLEM}, got {media_type!r} ({response.text[:200]})"
    body = response.json()
    for member, kind in (("type", str), ("title", str), ("status", int), ("detail", str)):
        assert isinstance(body.get(member), kind), (
            f"expected the member {member} ({kind.__name__}) in {body}")
    assert body["status"] == status, f"expected the member status {status} in {body}"
    assert body["detail"], f"expected a detail that says something in {body}"
    if detail is not None:
        assert body["detail"] == detail, f"expected the detail {detail!r} in {body}"
    return body


def assert_invalid(response, field):
    """422 that names the field and says why, in `errors` and in `detail`."""
    body = assert_problem(response, 422)
    errors = body.get("errors")
    assert isinstance(errors, list) and errors, f"expected a list errors in {body}"
    fields = [error.get("field") for error in errors]
    assert field in fields, f"expected the field {field!r} among {fields} in {body}"
    for error in errors:
        assert isinstance(error.get("reason"), str) and error["reason"], (
            f"expected a reason for each field in {body}")
    assert field in body["detail"], f"expected {field!r} to be named in the detail of {body}"
    return body


def assert_unauthorized(response):
    body = assert_problem(response, 401)
    challenge = response.headers.get("www-authenticate", "")
    assert challenge.split(" ")[0] == "Bearer", (
        f"expected WWW-Authenticate: Bearer with the 401, got {challenge!r}")
    return body
