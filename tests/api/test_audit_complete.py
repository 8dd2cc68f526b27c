"""The audit trail is whole: after kill -9 in mid-load each action that was answered has its one row, no row is without
its action, and what users and accounts were at any moment is told by the trail alone."""

import random
import threading
import time
import uuid

import httpx
import pytest

from support import tokens, trail
from support.api import Auth, assert_ok, http_client, new_key, new_name
from support.databases import check_invariants
from support.service import Service
from support.waiting import wait_until

PASSWORD = "correct horse battery"
KILLS = 3


class Crowd:
    """Threads that each go on with act(client, n) while the service is killed and started again. An action is one
    request with an id of its own; what was answered is kept by that id."""

    def __init__(self, service, threads, act):
        self.service, self.act = service, act
        self.answered, self.lost, self.failures = [], [], []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(number,), daemon=True)
                        for number in range(threads)]

    def run(self, number):
        try:
            with http_client(self.service) as client:
                while not self.stopping.is_set():
                    self.act(self, client, number)
        except Exception as error:  # told by the test
            self.failures.append(error)

    def send(self, client, what, method, path, **more):
        """The answer, or None: nobody knows what became of it."""
        request_id = f"crowd-{uuid.uuid4()}"
        headers = {"X-Request-Id": request_id, **more.pop("headers", {})}
        try:
            answer = client.request(method, path, headers=headers, **more)
        except httpx.TransportError:
            self.lost.append(request_id)
            time.sleep(0.02)
            return None
        if answer.status_code == 503:
            self.lost.append(request_id)
            time.sleep(0.02)
            return None
        self.answered.append((request_id, what, answer.status_code))
        return answer

    def go(self):
        for thread in self.threads:
            thread.start()
        for _ in range(KILLS):
            self.advance(40)
            self.service.kill()
            self.service.start()
        self.advance(40)
        self.stopping.set()
        for thread in self.threads:
            thread.join(30)
            assert not thread.is_alive(), "expected every thread to come to its end"
        assert not self.failures, self.failures
        assert self.lost, "expected a kill to cut some requests off"
        return self

    def advance(self, count):
        before = len(self.answered)
        wait_until(lambda: self.failures or len(self.answered) >= before + count, "work goes on", 20)


def assert_one_row_each(crowd, rows, expected, perhaps=frozenset()):
    """expected: (what, status) -> lists of the events that such an answer can stand for."""
    by_request = {}
    for row in rows:
        by_request.setdefault(row["request_id"], []).append(row["event"])
    seen = set()
    for request_id, what, status in crowd.answered:
        events = by_request.get(request_id, [])
        wanted = expected[what, status]
        assert sorted(events) in [sorted(one) for one in wanted], (
            f"{what}, answered with {status}: expected {wanted}, found {events}")
        seen.add((what, status))
    assert seen | perhaps == set(expected), "expected each kind of answer at least once"
    assert max(map(len, by_request.values())) <= 3


# ---- auth_api ----

@pytest.fixture
def own_database(databases):
    return databases.copy("auth")


@pytest.fixture
def auth_service(auth_settings, own_database, folder):
    service = Service("auth_api", {**auth_settings, **own_database.environment()},
                      folder / "complete").start()
    yield service
    service.stop()


def live(crowd, client, number):
    """One life: registered, a wrong login, a right one, a refresh, a wrong refresh, logged out."""
    name = new_name()

    def login(password):
        return crowd.send(client, "login", "POST", "/auth/login",
                          json={"username": name, "password": password})

    made = crowd.send(client, "register", "POST", "/users/",
                      json={"username": name, "password": PASSWORD})
    if made is None:
        return
    login("wrong password")
    pair = login(PASSWORD)
    if pair is None:
        return
    pair = pair.json()
    crowd.send(client, "refresh", "POST", "/auth/refresh",
               json={"refresh_token": pair["refresh_token"]})
    crowd.send(client, "logout", "POST", "/auth/logout",
               headers={"Authorization": f"Bearer {pair['access_token']}"})


def test_kill_9_of_auth_api_in_mid_load(auth_service, own_database):
    crowd = Crowd(auth_service, 4, live).go()
    rows = trail.rows(own_database)
    assert_one_row_each(crowd, rows, {
        ("register", 200): [["user_created"]],
        ("login", 401): [["authn_login_fail"]],
        ("login", 200): [["authn_login_success", "session_created"],
                         ["authn_login_successafterfail", "session_created"]],
        ("refresh", 200): [["session_renewed"]],
        ("logout", 204): [["session_logout"]],
    })
    # No row without its action, and no action without its row, answered or not.
    pairs = {
        "user_created": "SELECT id::text FROM auth.users",
        "session_created": "SELECT id::text FROM auth.session",
        "session_logout": "SELECT id::text FROM auth.session WHERE end_reason = 'logout'",
        "session_renewed": "SELECT session_id::text FROM auth.refresh_token WHERE used_at IS NOT NULL",
    }
    for event, query in pairs.items():
        told = sorted(row["subject"] for row in rows if row["event"] == event)
        done = sorted(subject for subject, in own_database.query(query))
        assert told == done, f"{event}: {len(told)} told, {len(done)} done"
    assert own_database.query("SELECT count(*) FROM auth.session WHERE ended_at IS NOT NULL"
                               ) == own_database.query("SELECT count(*) FROM auth.revocation")
    # A session is opened by a login that passed, and by nothing else.
    passed = {row["request_id"] for row in rows if row["event"].startswith("authn_login_success")}
    assert {row["request_id"] for row in rows if row["event"] == "session_created"} <= passed


# ---- wallet_api ----

@pytest.fixture
def books(databases):
    database = databases.copy("wallet")
    yield database
    check_invariants(database)


@pytest.fixture
def wallet(wallet_settings, books, folder):
    service = Service("wallet_api", {**wallet_settings, **books.environment()},
                      folder / "complete").start()
    yield service
    service.stop()


def test_kill_9_of_wallet_api_in_mid_load(wallet, books, secret):
    headers = {"Authorization": "Bearer " + tokens.access_token(
        uuid.uuid4(), secret, roles=["user", "operator"])}

    def make(client, path, **body):
        while True:
            try:
                answer = client.post(path, json=body, headers=headers)
            except httpx.TransportError:
                time.sleep(0.02)
                continue
            if answer.status_code in (200, 201, 409):  # 409: it was carried out, the answer was lost
                return answer.json()
            time.sleep(0.02)

    def operate(crowd, client, number):
        account = make(client, "/wallet/accounts")["id"]
        deposit = make(client, "/wallet/deposit", account_id=account, amount="1.00",
                       idempotency_key=new_key())["transaction"]
        for action in ("freeze", "unfreeze", "close"):
            crowd.send(client, action, "POST", f"/wallet/accounts/{account}/{action}",
                       json={"reason": "in mid-load"}, headers=headers)
        for _ in range(2):
            crowd.send(client, "reverse", "POST", f"/wallet/transactions/{deposit}/reverse",
                       json={"reason": "in mid-load", "idempotency_key": new_key()},
                       headers=headers)

    crowd = Crowd(wallet, 4, operate).go()
    rows = trail.rows(books)
    assert_one_row_each(crowd, rows, {
        ("freeze", 200): [["account_frozen"]], ("unfreeze", 200): [["account_unfrozen"]],
        ("close", 422): [["account_closed"]], ("reverse", 200): [["transaction_reversed"]],
        ("reverse", 409): [["transaction_reversed"]],
        # The account is frozen still: the answer that it is not, or the request, was lost.
        ("reverse", 422): [["transaction_reversed"]]}, perhaps={("reverse", 422)})
    statuses = {request_id: status for request_id, _, status in crowd.answered}
    for row in rows:
        if row["request_id"] in statuses:
            assert (row["outcome"] == "success") == (statuses[row["request_id"]] == 200), row
    told = sorted((row["subject"], row["detail"]["transaction"]) for row in rows
                  if row["event"] == "transaction_reversed" and row["outcome"] == "success")
    assert told == sorted(books.query(
        "SELECT reverses::text, id::text FROM ledger.transaction WHERE kind = 'reversal'"))
    status = dict.fromkeys((account for account, in books.query(
        "SELECT id::text FROM ledger.account WHERE owner_id IS NOT NULL")), "open")
    for row in rows:
        if row["event"] in STATUS_AFTER and row["outcome"] == "success":
            assert row["detail"]["was"] == status[row["subject"]], row
            status[row["subject"]] = STATUS_AFTER[row["event"]]
    assert status == dict(books.query(
        "SELECT id::text, status FROM ledger.account WHERE owner_id IS NOT NULL"))


# ---- what was, from the trail alone (SEC 17a-4(f), the alternative of an audit trail) ----

STATUS_AFTER = {"account_frozen": "frozen", "account_unfrozen": "open", "account_closed": "closed"}
MOMENTS, LOOKS = 100, 1000


class Past:
    """What the calls of the test say that was, at moments of the database's clock."""

    def __init__(self, connection):
        self.connection, self.moments = connection, []

    def keep(self, state):
        moment, = self.connection.execute(
            """SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
        ).fetchone()
        self.moments.append((moment, dict(state)))

    def check(self, rows, rebuild):
        """LOOKS random things at MOMENTS random moments; a thing that was not there yet is None."""
        moments = random.sample(self.moments, MOMENTS)
        things = sorted({thing for _, state in self.moments for thing in state})
        for _ in range(LOOKS):
            moment, state = random.choice(moments)
            thing = random.choice(things)
            told = rebuild([row for row in rows if row["subject"] == thing
                            and row["recorded_at"] <= moment])
            assert told == state.get(thing), f"{thing} at {moment}: told {told}"


def rebuild_user(rows):
    """(roles, may he log in)"""
    state = None
    for row in rows:
        if row["event"] == "user_created":
            assert state is None
            state = (("user",), True)
        elif row["outcome"] == "failure":
            pass
        elif row["event"] == "privilege_permissions_changed":
            assert tuple(row["detail"]["before"]) == state[0], "expected no change without a row"
            state = (tuple(row["detail"]["after"]), state[1])
        elif row["event"] == "user_updated" and row["reason"] in ("enabled", "disabled"):
            state = (state[0], row["reason"] == "enabled")
    return state


def test_what_users_were_is_told_by_the_trail(auth_service, own_database):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    random.seed(seed)
    auth = Auth(auth_service)
    admin, auditor = new_name("admin"), new_name("auditor")
    clients = {}
    for name, roles in ((admin, "{user,admin}"), (auditor, "{auditor}")):
        assert_ok(auth.register(name, PASSWORD))
        own_database.execute("UPDATE auth.users SET roles = %s WHERE username = %s", (roles, name))
        token = assert_ok(auth.login(name, PASSWORD))["access_token"]
        clients[name] = http_client(auth_service, headers={"Authorization": f"Bearer {token}"})
    connection = own_database.connect()
    past, state = Past(connection), {}
    for _ in range(MOMENTS * 2):
        if len(state) < 5 or random.random() < 0.1:
            user = assert_ok(auth.register(new_name(), PASSWORD))["id"]
        else:
            user = random.choice(sorted(state))
            if random.random() < 0.5:
                roles = sorted(random.sample(["user", "operator", "auditor"], random.randint(0, 3)),
                               key=["user", "operator", "auditor"].index)
                assert_ok(clients[admin].put(f"/users/{user}/roles", json={"roles": roles}))
            else:
                action = random.choice(["enable", "disable", "unlock"])
                assert_ok(clients[admin].post(f"/users/{user}/{action}"))
        roles, disabled = connection.execute(
            "SELECT roles, disabled_at IS NOT NULL FROM auth.users WHERE id = %s", (user,)).fetchone()
        state[user] = (tuple(roles), not disabled)
        past.keep(state)
    connection.close()
    rows = trail.shown(clients[auditor])
    past.check(rows, rebuild_user)
    changes = [row for row in rows if row["event"] in ("privilege_permissions_changed", "user_updated")]
    administrator = assert_ok(clients[admin].get("/users/me"))["id"]
    assert {row["actor"] for row in changes} == {administrator}


def rebuild_account(rows):
    state = "open"
    for row in rows:
        if row["event"] in STATUS_AFTER and row["outcome"] == "success":
            assert row["detail"]["was"] == state, "expected no change without a row"
            state = STATUS_AFTER[row["event"]]
    return state


def test_what_accounts_were_is_told_by_the_trail(wallet, books, secret):
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    random.seed(seed)
    client = http_client(wallet, headers={"Authorization": "Bearer " + tokens.access_token(
        uuid.uuid4(), secret, roles=["user", "operator", "auditor"])})
    state = {}
    for _ in range(20):
        state[assert_ok(client.post("/wallet/accounts"), 201)["id"]] = "open"
    connection = books.connect()
    past = Past(connection)
    for _ in range(MOMENTS * 2):
        account = random.choice(sorted(state))
        action = random.choices(["freeze", "unfreeze", "close"], [6, 6, 1])[0]
        answer = client.post(f"/wallet/accounts/{account}/{action}", json={"reason": "at random"})
        assert answer.status_code in (200, 422)
        state[account] = assert_ok(client.get(f"/wallet/accounts/{account}"))["status"]
        past.keep(state)
    connection.close()
    assert {"open", "frozen", "closed"} == set(state.values())
    past.check(trail.shown(client), rebuild_account)
