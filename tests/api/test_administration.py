"""What administrators do with users and service accounts, and what the audit trail says of it."""

import concurrent.futures
import os
import subprocess
import uuid

import pytest

from support import tokens
from support.api import Auth, assert_ok, assert_problem, http_client, new_name
from support.service import Service
from support.settings import REPO

PASSWORD = "correct horse battery"


class Caller:
    def __init__(self, auth, database, *roles):
        self.name = new_name(roles[0] if roles else "user")
        self.auth = auth
        self.id = assert_ok(auth.register(self.name, PASSWORD))["id"]
        if roles:
            database.execute("UPDATE auth.users SET roles = %s WHERE id = %s", (list(roles), self.id))
        self.http = http_client(auth.service)
        self.login()

    def login(self):
        answer = self.auth.login(self.name, PASSWORD)
        if answer.status_code == 200:
            self.pair = answer.json()
            self.http.headers["Authorization"] = f"Bearer {self.pair['access_token']}"
        return answer


@pytest.fixture(scope="module")
def database(databases):
    return databases.copy("auth")


@pytest.fixture(scope="module")
def service(database, auth_settings, folder):
    service = Service("auth_api", {**auth_settings, **database.environment()}, folder).start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def auth(service):
    return Auth(service)


@pytest.fixture
def admin(auth, database):
    return Caller(auth, database, "user", "admin")


@pytest.fixture
def user(auth, database):
    return Caller(auth, database)


def events(database, subject):
    return database.query("SELECT event, actor, reason, detail FROM auth.audit WHERE subject = %s"
                          " ORDER BY id", (subject,))


def test_roles_are_set_and_reach_the_next_token(admin, user, database):
    answer = assert_ok(admin.http.put(f"/users/{user.id}/roles", json={"roles": ["auditor", "user"]}))
    assert answer["roles"] == ["user", "auditor"]
    assert_ok(user.login())
    assert tokens.claims_of(user.pair["access_token"])["roles"] == ["user", "auditor"]
    event, actor, _, detail = [row for row in events(database, user.id)
                               if row[0] == "privilege_permissions_changed"][-1]
    assert actor == admin.id and detail == {"before": ["user"], "after": ["user", "auditor"]}
    assert user.http.get("/audit").status_code == 200


def test_a_change_of_roles_ends_his_sessions(admin, user, auth):
    assert_ok(admin.http.put(f"/users/{user.id}/roles", json={"roles": []}))
    assert user.http.get("/users/me").status_code == 401
    refused = auth.http.post("/auth/refresh", json={"refresh_token": user.pair["refresh_token"]})
    assert refused.status_code == 401


@pytest.mark.parametrize("body", [
    {}, {"roles": "admin"}, {"roles": ["root"]}, {"roles": [1]}, {"roles": None},
    {"roles": ["user"], "username": "other"}, {"roles": ["user"], "id": str(uuid.uuid4())}])
def test_roles_that_are_none_are_refused(admin, user, body):
    assert admin.http.put(f"/users/{user.id}/roles", json=body).status_code == 422
    assert assert_ok(admin.http.get(f"/users/{user.id}"))["roles"] == ["user"]


def test_nobody_takes_a_role_by_registering(auth, database):
    name = new_name()
    answer = auth.http.post("/users/", json={"username": name, "password": PASSWORD,
                                             "roles": ["admin"], "disabled_at": None})
    assert answer.status_code in (200, 422)
    assert database.query("SELECT roles FROM auth.users WHERE username = %s AND roles <> '{user}'",
                          (name,)) == []


def test_a_disabled_user_is_out_at_once_and_comes_back(admin, user, auth):
    shown = assert_ok(admin.http.post(f"/users/{user.id}/disable"))
    assert shown["disabled_at"]
    assert user.http.get("/users/me").status_code == 401
    assert user.login().status_code == 401
    assert assert_ok(admin.http.post(f"/users/{user.id}/enable"))["disabled_at"] is None
    assert_ok(user.login())


def test_the_last_administrator_stays(auth, database, admin):
    database.execute("UPDATE auth.users SET roles = '{user}' WHERE id <> %s AND 'admin' = ANY (roles)",
                     (admin.id,))
    for call in (lambda: admin.http.post(f"/users/{admin.id}/disable"),
                 lambda: admin.http.put(f"/users/{admin.id}/roles", json={"roles": ["user"]})):
        assert_problem(call(), 409, "Nobody could administrate users any more; nothing was changed.")
    told = [row for row in database.query("SELECT event, outcome, actor, reason, detail ->> 'enabled'"
                                          " FROM auth.audit WHERE subject = %s ORDER BY id", (admin.id,))
            if row[1] == "failure"]
    assert told == [("user_updated", "failure", admin.id, "last_admin", "false"),
                    ("privilege_permissions_changed", "failure", admin.id, "last_admin", "true")]
    # Two who disable each other at once: one of them stays.
    second = Caller(auth, database, "admin")
    pairs = [(admin, second), (second, admin)]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda pair: pair[0].http.post(f"/users/{pair[1].id}/disable"), pairs))
    assert database.query("SELECT count(*) FROM auth.users WHERE 'admin' = ANY (roles)"
                          " AND disabled_at IS NULL") == [(1,)]


def test_a_token_of_a_former_administrator_opens_nothing(admin, user, secret, database):
    """Forged with the right key, or left over: the database is asked."""
    token = tokens.access_token(user.id, secret, roles=["admin"])
    answer = http_client(admin.auth.service).get(
        "/users/", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401


def test_users_are_listed_and_found(admin, auth):
    mark = new_name("listed")
    names = [f"{mark}.{i}" for i in range(5)]
    for name in names:
        assert_ok(auth.register(name, PASSWORD))
    seen, cursor = [], None
    while True:
        answer = admin.http.get("/users/", params={"search": mark, "limit": 2,
                                                   **({"cursor": cursor} if cursor else {})})
        seen += [one["username"] for one in assert_ok(answer)]
        cursor = answer.headers.get("X-Next-Cursor")
        if cursor is None:
            break
    assert seen == names[::-1]
    assert assert_ok(admin.http.get("/users/", params={"search": "%"})) == []
    for query in ({"limit": "0"}, {"limit": "201"}, {"limit": "x"}, {"cursor": "1"},
                  {"search": "x" * 65}):
        assert admin.http.get("/users/", params=query).status_code == 422, query


def test_a_locked_name_is_unlocked(admin, user, database):
    assert user.auth.login(user.name, "wrong password").status_code == 401
    database.execute("UPDATE auth.guess SET failures = 100, known = false, wait_until = now() + interval '1 hour'")
    assert user.login().status_code == 429
    database.execute("DELETE FROM auth.guess WHERE known")
    assert_ok(admin.http.post(f"/users/{user.id}/unlock"))
    database.execute("UPDATE auth.guess SET wait_until = '-infinity', failures = 0")
    assert_ok(user.login())


# ---- service accounts ----

def make_account(admin, *roles):
    return assert_ok(admin.http.post("/service-accounts/", json={
        "name": new_name("job"), "roles": list(roles)}), 201)


def ask(auth, account, **other):
    return auth.http.post("/auth/token", json={
        "grant_type": "client_credentials", "client_id": account["client_id"],
        "client_secret": account["client_secret"], **other})


def test_a_service_account_gets_tokens_with_its_roles(admin, auth, database):
    account = make_account(admin, "auditor")
    answer = assert_ok(ask(auth, account))
    claims = tokens.claims_of(answer["access_token"])
    assert claims["sub"] == account["client_id"] and claims["roles"] == ["auditor"]
    trail = http_client(auth.service, headers={"Authorization": f"Bearer {answer['access_token']}"})
    assert trail.get("/audit").status_code == 200
    assert trail.get("/users/").status_code == 403
    stored = str(database.query("SELECT a::text FROM auth.service_account AS a"))
    assert account["client_secret"] not in stored and account["client_secret"] not in str(
        database.query("SELECT a::text FROM auth.audit AS a"))
    assert [row[0] for row in events(database, account["client_id"])] == [
        "user_created", "authn_token_created"]
    assert account["client_id"] in [one["id"] for one in assert_ok(
        admin.http.get("/service-accounts/"))]


def test_wrong_credentials_of_a_service_account_are_all_the_same(admin, auth):
    account, ended = make_account(admin, "operator"), make_account(admin, "operator")
    assert admin.http.delete(f"/service-accounts/{ended['client_id']}").status_code == 204
    assert admin.http.delete(f"/service-accounts/{ended['client_id']}").status_code == 404
    answers = [ask(auth, account, client_secret="x" * 43), ask(auth, account, client_secret=""),
               ask(auth, account, client_id=str(uuid.uuid4())), ask(auth, account, client_id="x"),
               ask(auth, ended)]
    assert {(one.status_code, one.content) for one in answers} == {(401, answers[0].content)}
    assert ask(auth, account, grant_type="password").status_code == 422


@pytest.mark.parametrize("roles", [[], ["admin"], ["user"], ["auditor", "admin"], "auditor"])
def test_a_service_account_gets_no_more_than_a_job_needs(admin, roles):
    answer = admin.http.post("/service-accounts/", json={"name": new_name("job"), "roles": roles})
    assert answer.status_code == 422


def test_the_name_of_a_service_account_is_used_once(admin):
    account = make_account(admin, "auditor")
    answer = admin.http.post("/service-accounts/", json={"name": account["name"],
                                                         "roles": ["auditor"]})
    assert_problem(answer, 409, "A service account with this name already exists.")


# ---- the trail ----

def test_the_trail_is_filtered_and_paged(admin, user, auth, database):
    auditor = Caller(auth, database, "auditor")
    for _ in range(3):
        auth.login(user.name, "wrong password")
    mine = {"subject": user.id, "event": "authn_login_fail"}
    whole = assert_ok(auditor.http.get("/audit", params=mine))
    assert [row["reason"] for row in whole] == ["wrong_password"] * 3
    assert all(row["outcome"] == "failure" and row["address"] == "127.0.0.1" for row in whole)
    page = auditor.http.get("/audit", params={**mine, "limit": 2})
    rest = auditor.http.get("/audit", params={**mine, "limit": 2,
                                              "cursor": page.headers["X-Next-Cursor"]})
    assert page.json() + rest.json() == whole and "X-Next-Cursor" not in rest.headers
    since = whole[0]["recorded_at"]
    assert auditor.http.get("/audit", params={**mine, "from": since}).json() == whole[:1]
    assert auditor.http.get("/audit", params={**mine, "to": since}).json() == whole[1:]
    assert auditor.http.get("/audit", params={**mine, "outcome": "success"}).json() == []
    for query in ({"limit": "0"}, {"limit": "1001"}, {"cursor": "x"}, {"from": "yesterday"},
                  {"from": "2026-13-01T00:00:00Z"}, {"outcome": "maybe"}, {"event": "x" * 129},
                  {"to": "2026-01-01T00:00:00Z; DROP"}):
        assert auditor.http.get("/audit", params=query).status_code == 422, query


@pytest.mark.parametrize("agent", ["a%0ab", "caf\u00e9", "\u2028", "x" * 5000, "\"}{"])
def test_what_a_client_sends_stays_in_its_field(auth, database, agent):
    name = new_name()
    answer = auth.http.post("/auth/login", json={"username": name, "password": PASSWORD},
                            headers={"User-Agent": agent.encode()})
    assert answer.status_code == 401
    (kept,), = database.query("SELECT agent FROM auth.audit ORDER BY id DESC LIMIT 1")
    assert len(kept) <= 256 and kept.isprintable() and "\n" not in kept


# ---- ops/admin ----

def ops_admin(service, tmp_path, *arguments, stdin=""):
    env_file = tmp_path / ".env"
    env_file.write_text("".join(f"{name}={value}\n" for name, value in service.environment.items()
                                if name.startswith("POSTGRES_")))
    return subprocess.run([REPO / "ops" / "admin", *arguments], input=stdin, capture_output=True,
                          text=True, timeout=60, env={
                              "PATH": os.environ["PATH"], "AUTH_URL": service.url,
                              "AUTH_ENV_FILE": str(env_file)})


def test_ops_admin_makes_the_first_administrator_and_no_second(databases, auth_settings, folder,
                                                               tmp_path):
    database = databases.copy("auth")
    service = Service("auth_api", {**auth_settings, **database.environment()}, folder).start()
    try:
        password, name = "correct \"horse\" b\\attery $1", new_name("root")
        run = ops_admin(service, tmp_path, "create", name, "--password-file", "-", stdin=password)
        assert run.returncode == 0, run.stdout + run.stderr
        pair = assert_ok(Auth(service).login(name, password))
        assert tokens.claims_of(pair["access_token"])["roles"] == ["user", "admin"]
        assert password not in run.stdout + run.stderr
        (row,) = database.query("SELECT actor, reason FROM auth.audit"
                                " WHERE event = 'privilege_permissions_changed'")
        assert row == ("ops/admin", "first administrator")
        other = new_name()
        run = ops_admin(service, tmp_path, "create", other, "--password-file", "-", stdin=password)
        assert run.returncode == 1 and "already" in run.stderr
        run = ops_admin(service, tmp_path, "create", name, "--password-file", "-", stdin="short")
        assert run.returncode == 1 and "8 to 128" in run.stderr
        assert ops_admin(service, tmp_path, "create", name, "--password", "x").returncode == 64
        database.execute("UPDATE auth.users SET roles = '{user}'")
        assert ops_admin(service, tmp_path, "grant", new_name()).returncode == 1
        assert ops_admin(service, tmp_path, "grant", other).returncode == 0
        assert database.query("SELECT username FROM auth.users WHERE 'admin' = ANY (roles)"
                              ) == [(other,)]
    finally:
        service.stop()
