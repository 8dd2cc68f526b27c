"""One scenario for each event that the services can write into the audit trail: it is there once, and says who, whom,
from where, when, and with what outcome. The names are read from the code; one without a scenario fails."""

import datetime
import re
import uuid

import pytest

from support import tokens, trail
from support.api import NOBODY, Auth, assert_ok, http_client, new_key, new_name
from support.service import Service
from support.waiting import wait_until

PASSWORD = "correct horse battery"
SCENARIOS = {"auth": {}, "wallet": {}}


def scenario(project, event):
    def keep(function):
        assert event not in SCENARIOS[project]
        SCENARIOS[project][event] = function
        return function

    return keep


class Scene:
    """A running service, and a client whose one request is marked: by its id and its agent."""

    def __init__(self, service, database):
        self.service, self.database = service, database
        self.plain = http_client(service)
        self.begin()

    def begin(self):
        self.mark = f"scenario-{uuid.uuid4()}"
        self.marked = http_client(self.service, headers={"X-Request-Id": self.mark,
                                                         "User-Agent": f"agent of {self.mark}"})

    def now(self):
        return self.database.query("SELECT clock_timestamp()")[0][0]


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# ---- auth_api ----

class AuthScene(Scene):
    def __init__(self, service, database):
        super().__init__(service, database)
        self.auth = Auth(service)
        self.admin = self.user("{user,admin}")
        self.auditor = self.user("{auditor}")

    def user(self, roles=None):
        """(id, name, pair)"""
        name = new_name()
        user = assert_ok(self.auth.register(name, PASSWORD))["id"]
        if roles:
            self.database.execute("UPDATE auth.users SET roles = %s WHERE id = %s", (roles, user))
        return user, name, assert_ok(self.auth.login(name, PASSWORD))

    def login(self, client, name, password=PASSWORD):
        return client.post("/auth/login", json={"username": name, "password": password})

    def refresh(self, client, token):
        return client.post("/auth/refresh", json={"refresh_token": token})

    def logout(self, client, pair):
        return client.post("/auth/logout", headers=bearer(pair["access_token"]))

    def fail(self, name, times):
        for _ in range(times):
            assert self.login(self.plain, name, "wrong password").status_code == 401

    def rewind(self):
        self.database.execute("UPDATE auth.guess SET wait_until = '-infinity'")

    def as_admin(self, client, method, path, **more):
        return client.request(method, path, headers=bearer(self.admin[2]["access_token"]), **more)

    def service_account(self, client):
        return assert_ok(self.as_admin(client, "POST", "/service-accounts/", json={
            "name": new_name("job"), "roles": ["auditor"]}), 201)


@pytest.fixture(scope="module")
def auth_scene(databases, auth_settings, folder):
    database = databases.copy("auth")
    service = Service("auth_api", {
        **auth_settings, **database.environment(), "LOGIN_FREE_FAILURES": "2",
        "LOGIN_FAILURES_MAX": "3", "LOGIN_KNOWN_FREE_FAILURES": "2", "FORGET_INTERVAL_S": "1"},
        folder).start()
    yield AuthScene(service, database)
    service.stop()


@scenario("auth", "user_created")
def _(scene):
    user = assert_ok(scene.marked.post("/users/", json={
        "username": new_name(), "password": PASSWORD}))["id"]
    return {"actor": user, "subject": user, "outcome": "success"}


@scenario("auth", "authn_login_success")
def _(scene):
    user, name, _ = scene.user()
    assert_ok(scene.login(scene.marked, name))
    return {"actor": user, "subject": user, "outcome": "success", "detail": {}}


@scenario("auth", "authn_login_successafterfail")
def _(scene):
    user, name, _ = scene.user()
    scene.fail(name, 1)
    assert_ok(scene.login(scene.marked, name))
    return {"actor": user, "subject": user, "outcome": "success", "detail": {"failures": 1}}


@scenario("auth", "authn_login_fail")
def _(scene):
    user, name, _ = scene.user()
    assert scene.login(scene.marked, name, "wrong password").status_code == 401
    return {"actor": None, "subject": user, "outcome": "failure", "reason": "wrong_password"}


@scenario("auth", "authn_login_fail_max")
def _(scene):
    user, name, _ = scene.user()
    scene.fail(name, 1)
    assert scene.login(scene.marked, name, "wrong password").status_code == 401
    return {"actor": None, "subject": user, "outcome": "failure", "detail": {"failures": 2}}


@scenario("auth", "authn_login_lock")
def _(scene):
    user, name, _ = scene.user()
    scene.fail(name, 2)
    scene.rewind()
    assert scene.login(scene.marked, name, "wrong password").status_code == 401
    return {"actor": None, "subject": user, "outcome": "failure", "detail": {"failures": 3}}


@scenario("auth", "excess_rate_limit_exceeded")
def _(scene):
    _, name, _ = scene.user()
    scene.fail(name, 2)
    assert scene.login(scene.marked, name).status_code == 429
    return {"actor": None, "subject": None, "outcome": "failure", "reason": "account"}


@scenario("auth", "session_created")
def _(scene):
    user, name, _ = scene.user()
    session = assert_ok(scene.login(scene.marked, name))["session_id"]
    return {"actor": user, "subject": session, "outcome": "success"}


@scenario("auth", "session_renewed")
def _(scene):
    user, _, pair = scene.user()
    assert_ok(scene.refresh(scene.marked, pair["refresh_token"]))
    return {"actor": user, "subject": pair["session_id"], "outcome": "success", "reason": "renewed"}


@scenario("auth", "session_logout")
def _(scene):
    user, _, pair = scene.user()
    assert scene.logout(scene.marked, pair).status_code == 204
    return {"actor": user, "subject": pair["session_id"], "outcome": "success", "reason": "logout"}


@scenario("auth", "session_expired")
def _(scene):
    """By nobody's request."""
    user, _, pair = scene.user()
    scene.mark = None
    scene.database.execute("UPDATE auth.session SET idle_ends_at = now() WHERE id = %s",
                           (pair["session_id"],))
    return {"actor": None, "subject": pair["session_id"], "outcome": "success", "reason": "idle",
            "later": True}


@scenario("auth", "session_use_after_expire")
def _(scene):
    user, _, pair = scene.user()
    assert scene.logout(scene.plain, pair).status_code == 204
    assert scene.refresh(scene.marked, pair["refresh_token"]).status_code == 401
    return {"actor": user, "subject": pair["session_id"], "outcome": "failure", "reason": "logout"}


@scenario("auth", "authn_token_revoked")
def _(scene):
    user, name, pair = scene.user()
    other = assert_ok(scene.login(scene.plain, name))["session_id"]
    assert scene.marked.delete(f"/auth/sessions/{other}",
                               headers=bearer(pair["access_token"])).status_code == 204
    return {"actor": user, "subject": other, "outcome": "success", "reason": "ended"}


@scenario("auth", "authn_token_reuse")
def _(scene):
    user, _, pair = scene.user()
    second = assert_ok(scene.refresh(scene.plain, pair["refresh_token"]))
    assert_ok(scene.refresh(scene.plain, second["refresh_token"]))
    assert scene.refresh(scene.marked, pair["refresh_token"]).status_code == 401
    return {"actor": user, "subject": pair["session_id"], "outcome": "failure"}


@scenario("auth", "authn_token_created")
def _(scene):
    account = scene.service_account(scene.plain)
    assert_ok(scene.marked.post("/auth/token", json={
        "grant_type": "client_credentials", "client_id": account["client_id"],
        "client_secret": account["client_secret"]}))
    return {"actor": account["client_id"], "subject": account["client_id"], "outcome": "success",
            "reason": "client_credentials"}


@scenario("auth", "authn_password_change")
def _(scene):
    user, _, pair = scene.user()
    assert scene.marked.post("/auth/password", headers=bearer(pair["access_token"]), json={
        "current_password": PASSWORD, "new_password": "another horse battery"}).status_code == 204
    return {"actor": user, "subject": user, "outcome": "success"}


@scenario("auth", "authn_password_change_fail")
def _(scene):
    user, _, pair = scene.user()
    assert scene.marked.post("/auth/password", headers=bearer(pair["access_token"]), json={
        "current_password": "wrong password", "new_password": "another horse battery"}
    ).status_code == 401
    return {"actor": user, "subject": user, "outcome": "failure", "reason": "wrong_password"}


@scenario("auth", "privilege_permissions_changed")
def _(scene):
    user, _, _ = scene.user()
    assert_ok(scene.as_admin(scene.marked, "PUT", f"/users/{user}/roles",
                             json={"roles": ["user", "operator"]}))
    return {"actor": scene.admin[0], "subject": user, "outcome": "success",
            "detail": {"before": ["user"], "after": ["user", "operator"]}}


@scenario("auth", "user_updated")
def _(scene):
    user, _, _ = scene.user()
    assert_ok(scene.as_admin(scene.marked, "POST", f"/users/{user}/disable"))
    return {"actor": scene.admin[0], "subject": user, "outcome": "success", "reason": "disabled"}


@scenario("auth", "user_archived")
def _(scene):
    account = scene.service_account(scene.plain)["client_id"]
    assert scene.as_admin(scene.marked, "DELETE", f"/service-accounts/{account}").status_code == 204
    return {"actor": scene.admin[0], "subject": account, "outcome": "success",
            "reason": "service_account"}


@scenario("auth", "authz_fail")
def _(scene):
    user, _, pair = scene.user()
    assert scene.marked.get("/users/", headers=bearer(pair["access_token"])).status_code == 403
    return {"actor": user, "subject": "GET /users/", "outcome": "failure",
            "reason": "insufficient_role", "later": True}


# ---- wallet_api ----

class WalletScene(Scene):
    def __init__(self, service, database, secret):
        super().__init__(service, database)
        self.ids = {who: str(uuid.uuid4()) for who in ("user", "operator", "colleague", "auditor")}
        self.tokens = {who: tokens.access_token(
            self.ids[who], secret, roles=["operator" if who == "colleague" else who])
            for who in self.ids}
        database.execute("""WITH a AS (INSERT INTO ledger.account (ledger_id, id, asset, class, code)
                VALUES (1, gen_random_uuid(), 'RUB', 'expense', 'expenses:bank:RUB')
                RETURNING ledger_id, id)
            INSERT INTO ledger.balance (ledger_id, account_id) SELECT ledger_id, id FROM a""")

    def call(self, client, role, method, path, **more):
        return client.request(method, path, headers=bearer(self.tokens[role]), **more)

    def account(self):
        return assert_ok(self.call(self.plain, "user", "POST", "/wallet/accounts"), 201)["id"]

    def control(self, client, account, action):
        return assert_ok(self.call(client, "operator", "POST",
                                   f"/wallet/accounts/{account}/{action}",
                                   json={"reason": "a scenario"}))

    def propose(self, client):
        return assert_ok(self.call(client, "operator", "POST", "/reports/adjustments", json={
            "debit": "expenses:bank:RUB", "credit": "assets:settlement:RUB", "amount": "1.00",
            "reason": "a scenario", "idempotency_key": new_key()}))["adjustment"]

    def decide(self, client, action):
        """By somebody else than who has proposed it."""
        adjustment = self.propose(self.plain)
        assert_ok(self.call(client, "colleague", "POST",
                            f"/reports/adjustments/{adjustment}/{action}",
                            json={"reason": "a decision"}))
        return {"actor": self.ids["colleague"], "subject": adjustment, "outcome": "success",
                "reason": "a decision"}

    def done(self, subject, **detail):
        return {"actor": self.ids["operator"], "subject": subject, "outcome": "success",
                "reason": "a scenario", "detail": {"ledger": 1, "outcome": "done", **detail}}


@pytest.fixture(scope="module")
def wallet_scene(databases, wallet_settings, secret, folder):
    database = databases.copy("wallet")
    service = Service("wallet_api", {**wallet_settings, **database.environment()}, folder).start()
    yield WalletScene(service, database, secret)
    service.stop()


@scenario("wallet", "account_frozen")
def _(scene):
    account = scene.account()
    scene.control(scene.marked, account, "freeze")
    return scene.done(account, was="open")


@scenario("wallet", "account_unfrozen")
def _(scene):
    account = scene.account()
    scene.control(scene.plain, account, "freeze")
    scene.control(scene.marked, account, "unfreeze")
    return scene.done(account, was="frozen")


@scenario("wallet", "account_closed")
def _(scene):
    account = scene.account()
    scene.control(scene.marked, account, "close")
    return scene.done(account, was="open")


@scenario("wallet", "transaction_reversed")
def _(scene):
    wrong = assert_ok(scene.call(scene.plain, "user", "POST", "/wallet/deposit", json={
        "account_id": scene.account(), "amount": "1.00", "idempotency_key": new_key()}))["transaction"]
    answer = assert_ok(scene.call(scene.marked, "operator", "POST",
                                  f"/wallet/transactions/{wrong}/reverse",
                                  json={"reason": "a scenario", "idempotency_key": new_key()}))
    return scene.done(wrong, transaction=answer["transaction"])


@scenario("wallet", "period_closed")
def _(scene):
    moment = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=3))
    answer = scene.call(scene.marked, "operator", "POST", "/reports/periods/close", json={
        "to": moment.strftime("%Y-%m-%dT%H:%M:%SZ"), "reason": "a scenario"})
    assert answer.status_code == 200, answer.text
    return {"actor": scene.ids["operator"], "outcome": "success", "reason": "a scenario"}


@scenario("wallet", "adjustment_proposed")
def _(scene):
    adjustment = scene.propose(scene.marked)
    return {"actor": scene.ids["operator"], "subject": adjustment, "outcome": "success",
            "reason": "a scenario"}


@scenario("wallet", "adjustment_approved")
def _(scene):
    return scene.decide(scene.marked, "approve")


@scenario("wallet", "adjustment_rejected")
def _(scene):
    return scene.decide(scene.marked, "reject")


@scenario("wallet", "authz_fail")
def _(scene):
    assert scene.call(scene.marked, "user", "POST", f"/wallet/accounts/{NOBODY}/freeze",
                      json={"reason": "a scenario"}).status_code == 403
    return {"actor": scene.ids["user"], "subject": "POST /wallet/accounts/{id}/freeze",
            "outcome": "failure", "reason": "insufficient_role", "later": True}


# ---- the walk ----

@pytest.mark.parametrize("project", SCENARIOS)
def test_every_event_has_a_scenario(project):
    names = trail.events_in_code(project)
    assert len(names) > 5, "expected the names to be found"
    assert names == set(SCENARIOS[project])


def find(scene, event, expected, began):
    if scene.mark is not None:
        return trail.rows(scene.database, "event = %s AND request_id = %s", (event, scene.mark))
    return trail.rows(scene.database, "event = %s AND subject = %s AND recorded_at > %s",
                      (event, expected["subject"], began))


def play(scene, project, event):
    scene.begin()
    began = scene.now()
    expected = SCENARIOS[project][event](scene)
    if expected.pop("later", False):
        wait_until(lambda: find(scene, event, expected, began), f"{event} is written")
    found = find(scene, event, expected, began)
    assert len(found) == 1, f"expected {event} once, found {found}"
    row = found[0]
    assert row["event"] == event
    assert {name: row[name] for name in expected} == expected
    assert began < row["recorded_at"] < scene.now()
    origin = (None, None, None) if scene.mark is None else (
        scene.mark, "127.0.0.1", f"agent of {scene.mark}")
    assert (row["request_id"], row["address"], row["agent"]) == origin
    return row


def same_as_shown(row, client, token):
    """An auditor sees the same, with the time in UTC to the microsecond."""
    listed = assert_ok(client.get("/audit", params={"event": row["event"], "limit": 1000},
                                  headers=bearer(token)))
    found = [one for one in listed if one["id"] == row["id"]]
    moment = row["recorded_at"].astimezone(datetime.timezone.utc)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert found == [{**row, "recorded_at": text}]


@pytest.mark.parametrize("event", SCENARIOS["auth"])
def test_an_event_of_auth_api(auth_scene, event):
    row = play(auth_scene, "auth", event)
    same_as_shown(row, auth_scene.plain, auth_scene.auditor[2]["access_token"])


@pytest.mark.parametrize("event", SCENARIOS["wallet"])
def test_an_event_of_wallet_api(wallet_scene, event):
    row = play(wallet_scene, "wallet", event)
    same_as_shown(row, wallet_scene.plain, wallet_scene.tokens["auditor"])


@pytest.mark.parametrize("name", ["auth_api", "wallet_api"])
def test_start_and_stop_are_in_the_log(auth_settings, wallet_settings, folder, name):
    """Of the service, which has no database while it starts."""
    service = Service(name, {"auth_api": auth_settings, "wallet_api": wallet_settings}[name],
                      folder / "start-and-stop").start()
    pid = service.process.pid
    service.stop()
    events = [(line["event"], line.get("pid", line.get("signal"))) for line in service.log_lines()]
    assert events.count(("sys_startup", pid)) == 1
    assert events[-1] == ("sys_shutdown", "SIGTERM")


def test_a_logout_without_a_session_is_told(auth_scene, secret):
    """A token of an older issuer names no session: all such tokens of its user end."""
    user, _, _ = auth_scene.user()
    auth_scene.begin()
    token = tokens.access_token(user, secret)
    assert auth_scene.marked.post("/auth/logout", headers=bearer(token)).status_code == 204
    found = trail.rows(auth_scene.database, "request_id = %s", (auth_scene.mark,))
    assert [(row["event"], row["actor"], row["subject"], row["reason"]) for row in found] == [
        ("authn_token_revoked", user, user, "logout")]
