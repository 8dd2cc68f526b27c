"""Every row of access_table.txt, for everybody, on his own object, another's, and none."""

import string

import pytest

from support import access
from support.api import NOBODY, Auth, assert_ok, http_client, new_key, new_name
from support.settings import binary

ROWS = access.read()
CALLERS = {"nobody": None, "user": ["user"], "other": ["user"], "operator": ["user", "operator"],
           "auditor": ["auditor"], "admin": ["user", "admin"]}


PASSWORD = "correct horse battery"


class World:
    """Callers and what they own."""

    def __init__(self, services, server, database):
        self.services = services
        self.auth = Auth(services["auth_api"])
        self.names = {}
        self.clients = {}
        self.objects = {}
        for caller, roles in CALLERS.items():
            headers = {}
            if roles is not None:
                self.names[caller] = new_name(caller)
                assert_ok(self.auth.register(self.names[caller], PASSWORD))
                with server.connect(database) as connection:
                    connection.execute("UPDATE auth.users SET roles = %s WHERE username = %s",
                                       (roles, self.names[caller]))
                headers = self.login(caller)
            for name, service in services.items():
                self.clients[name, caller] = http_client(service, headers=headers)

    def login(self, caller):
        pair = assert_ok(self.auth.login(self.names[caller], PASSWORD))
        return {"Authorization": f"Bearer {pair['access_token']}"}

    def close(self):
        self.auth.http.close()
        for client in self.clients.values():
            client.close()

    # ---- objects: one maker a kind ----

    def make_account(self, caller):
        wallet = self.clients["wallet_api", caller]
        account = wallet.post("/wallet/accounts").json()["id"]
        self.deposit(wallet, account)
        return account

    def make_transaction(self, caller):
        wallet = self.clients["wallet_api", caller]
        return self.deposit(wallet, wallet.post("/wallet/accounts").json()["id"])

    def make_user(self, caller):
        return assert_ok(self.clients["auth_api", caller].get("/users/me"))["id"]

    def make_session(self, caller):
        return assert_ok(self.auth.login(self.names[caller], PASSWORD))["session_id"]

    @staticmethod
    def deposit(wallet, account):
        answer = wallet.post("/wallet/deposit", json={
            "account_id": account, "amount": "100.00", "idempotency_key": new_key()})
        assert answer.status_code == 200, f"a deposit: {answer.text}"
        return answer.json()["transaction"]

    def object_of(self, kind, caller):
        if (kind, caller) not in self.objects:
            self.objects[kind, caller] = getattr(self, f"make_{kind}")(caller)
        return self.objects[kind, caller]

    def target(self, kind, case, caller):
        if case == "missing" or not kind:
            return NOBODY
        return self.object_of(kind, caller if case == "own" else
                              ("other" if caller != "other" else "user"))

    def call(self, row, caller, object_id):
        words = {"id": object_id, "key": new_key(), "other": NOBODY}
        if "$other" in row.body:
            words["other"] = self.object_of("account", "other" if caller != "other" else "user")
            if words["other"] == object_id:
                words["other"] = self.object_of("account", "admin")
        body = string.Template(row.body).substitute(words) if row.body else None
        path = row.pattern
        for name in (word.split("}")[0] for word in row.pattern.split("{")[1:]):
            path = path.replace("{" + name + "}", object_id)
        headers = {"Content-Type": "application/json"} if body else {}
        if row.pattern == "/auth/logout" and caller in self.names:
            headers |= self.login(caller)  # the caller's own session is needed for other rows
        return self.clients[row.service, caller].request(row.method, path, content=body,
                                                         headers=headers)


@pytest.fixture(scope="module")
def world(auth_service, wallet_service, server, auth_settings):
    world = World({"auth_api": auth_service, "wallet_api": wallet_service}, server,
                  auth_settings["POSTGRES_DB"])
    yield world
    world.close()


def may(row, caller):
    roles = CALLERS[caller]
    if row.who == "public":
        return True
    return roles is not None and (row.who == "bearer" or set(row.who.split(",")) & set(roles))


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_who_may_call_what(world, row, caller):
    answer = world.call(row, caller, NOBODY)
    problem = answer.json().get("type", "").rpartition(":")[2] if (
        "problem+json" in answer.headers.get("content-type", "")) else ""
    if row.who != "public" and CALLERS[caller] is None:
        assert answer.status_code == 401, f"{row} without a token: {answer.status_code}"
        assert answer.headers["www-authenticate"].startswith("Bearer realm=")
    elif not may(row, caller):
        assert (answer.status_code, problem) == (403, "insufficient_role"), (
            f"{row} by {caller}: {answer.status_code} {answer.text[:200]}")
        scope = answer.headers["www-authenticate"].partition('scope="')[2].rstrip('"')
        assert set(scope.split()) == set(row.who.split(","))
    else:
        assert problem not in ("insufficient_role", "not_found", "method_not_allowed",
                               "internal", "unauthorized"), (
            f"{row} by {caller}: {answer.status_code} {answer.text[:200]}")


@pytest.mark.parametrize("caller", [caller for caller, roles in CALLERS.items() if roles])
@pytest.mark.parametrize("row", [row for row in ROWS if row.expected], ids=str)
def test_whose_it_is(world, row, caller):
    if not may(row, caller):
        pytest.skip("not allowed to call it at all")
    answers = {case: world.call(row, caller, world.target(row.kind, case, caller))
               for case, _ in row.expected}
    for case, status in row.expected:
        assert answers[case].status_code == status, (
            f"{row} by {caller}, {case}: {answers[case].status_code} {answers[case].text[:200]}")
    expected = dict(row.expected)
    if expected.get("foreign", 0) == expected.get("missing", 1):
        assert answers["foreign"].content == answers["missing"].content, (
            f"{row} by {caller} tells another's from what does not exist")


def test_a_route_without_a_row_is_noticed(tmp_path):
    program = binary("auth_api")
    rows = [line for line in access.TABLE.read_text().splitlines() if line.startswith("auth_api")]
    table = tmp_path / "table.txt"
    table.write_text("\n".join(rows))
    assert access.main(table, program) == 0
    table.write_text("\n".join(rows[1:]))
    assert access.main(table, program) == 1, "expected the missing row to be noticed"
    table.write_text("\n".join([rows[0].replace("public", "admin"), *rows[1:]]))
    assert access.main(table, program) == 1, "expected the other role to be noticed"
