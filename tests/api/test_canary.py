"""No password, token, client secret, key or pepper is in any log: of the services and tools at their most talkative, of
PostgreSQL, which here writes down every statement with all of its parameters, or in the audit trails; whatever goes
wrong. What PostgreSQL is not given, it cannot tell."""

import base64
import secrets
import subprocess
import threading

import httpx
import pytest

from support import leaks
from support.api import Auth, User, assert_ok, http_client, new_key, new_name
from support.cluster import Cluster
from support.databases import Databases
from support.service import Service, base_environment, run_to_end
from support.settings import REPO, scaled
from support.trust import Keys
from support.waiting import wait_until

SUFFIX = "-\"q\\\u00e9'%"  # what is escaped in JSON, in SQL, in a URL


@pytest.fixture(scope="module")
def talkative():
    """A server that logs all that it can."""
    cluster = Cluster(log_statement="all", log_min_error_statement="debug5",
                      log_min_messages="info", log_parameter_max_length="-1",
                      log_parameter_max_length_on_error="-1", log_duration="on",
                      log_min_duration_statement="0", log_error_verbosity="verbose",
                      log_connections="on", log_disconnections="on").create()
    yield cluster
    cluster.stop()


class Scene:
    """Both services, and what must not be found."""

    def __init__(self, cluster, folder, tmp_path):
        self.cluster, self.folder = cluster, tmp_path
        self.secrets, self.answers, self.tools = leaks.Secrets(), [], []
        databases = Databases(cluster)
        self.databases = {project: databases.copy(project) for project in ("auth", "wallet")}
        for role, password in databases.passwords.items():
            self.secrets.add(f"password of {role}", password)
        self.keys = Keys(tmp_path)
        self.tools.append(("auth_keys", self.keys.run("init")))
        shared = {"LOG_LEVEL": "debug", "JWT_SECRET": self.canary("JWT_SECRET", ""),
                  "FEED_SECRET": self.canary("FEED_SECRET", "")}
        self.auth_service = Service("auth_api", {
            **self.databases["auth"].environment(), **shared, "BCRYPT_COST": "4",
            "JWT_ALGORITHM": "ES256", "KEYS_DIR": str(self.keys.folder), "FORGET_INTERVAL_S": "1",
            "PASSWORD_PEPPER_FILE": str(self.peppers())}, folder)
        self.wallet_service = Service("wallet_api", {
            **self.databases["wallet"].environment(), **shared,
            "AUTH_JWKS_URL": f"{self.auth_service.url}/.well-known/jwks.json",
            "AUTH_REVOCATIONS_URL": f"{self.auth_service.url}/internal/revocations"}, folder)
        self.services = [self.auth_service.start(), self.wallet_service.start()]
        self.auth = Auth(self.auth_service)
        self.auth.http = self.client(self.auth_service)

    def canary(self, name, suffix=SUFFIX):
        return self.secrets.add(name, f"canary-{secrets.token_hex(16)}{suffix}")

    def peppers(self):
        path = self.folder / "peppers"
        raw = secrets.token_bytes(32)
        path.write_text(f"p1 {self.secrets.add('pepper', base64.b64encode(raw).decode(), raw)}\n")
        path.chmod(0o400)
        return path

    def add_keys(self):
        for path in self.keys.folder.glob("*.pem"):
            lines = [line for line in path.read_text().splitlines() if not line.startswith("-")]
            text = subprocess.run(["openssl", "pkey", "-in", path, "-noout", "-text"], check=True,
                                  capture_output=True, text=True).stdout
            private = text.partition("priv:")[2].partition("pub:")[0].replace(":", "").split()
            raw = bytes.fromhex("".join(private))[-32:]
            for line in lines:
                if len(line) > 40:
                    self.secrets.add("private key", line, raw)

    def client(self, service, **more):
        """One whose answers are looked at too."""
        client = http_client(service, **more)
        client.event_hooks["response"].append(self.answers.append)
        return client

    def add_pair(self, name, pair):
        self.secrets.add_token(f"access token of {name}", pair["access_token"])
        self.secrets.add_random(f"refresh token of {name}", pair["refresh_token"])
        return pair

    def run(self, name, environment, *arguments):
        self.tools.append((name, run_to_end(name, environment, *arguments)))
        return self.tools[-1][1]

    def stop(self):
        for service in self.services:
            service.stop()


@pytest.fixture
def scene(talkative, folder, tmp_path):
    scene = Scene(talkative, folder / "canary", tmp_path)
    yield scene
    scene.stop()


def as_bearer(scene, pair, service=None):
    return scene.client(service or scene.auth_service,
                        headers={"Authorization": f"Bearer {pair['access_token']}"})


def use_everything(scene):
    """Every call that takes or gives a secret, right and wrong; returns an administrator's tokens."""
    auth, canary, name = scene.auth, scene.canary, new_name()
    password, new, wrong = canary("password"), canary("new password"), canary("wrong password")
    assert_ok(auth.register(name, password))
    assert auth.register(name, wrong).status_code == 400  # a statement that fails
    assert auth.login(name, wrong).status_code == 401
    assert auth.login(new_name("nobody"), wrong).status_code == 401
    assert auth.login(name + "\u0000", wrong).status_code in (400, 422)
    scene.add_pair("a first login", assert_ok(auth.login(name, password)))
    scene.databases["auth"].execute(
        "UPDATE auth.users SET roles = '{user,admin,operator,auditor}' WHERE username = %s", (name,))
    pair = scene.add_pair("an administrator", assert_ok(auth.login(name, password)))
    http = as_bearer(scene, pair)
    account = assert_ok(http.post("/service-accounts/", json={
        "name": new_name("job"), "roles": ["auditor"]}), 201)
    scene.secrets.add_random("client secret", account["client_secret"])
    ask = {"grant_type": "client_credentials", "client_id": account["client_id"]}
    token = assert_ok(auth.http.post("/auth/token", json={
        **ask, "client_secret": account["client_secret"]}))
    scene.secrets.add_token("access token of a job", token["access_token"])
    assert auth.http.post("/auth/token", json={**ask, "client_secret": wrong}).status_code == 401
    renewed = scene.add_pair("a refresh", assert_ok(auth.http.post(
        "/auth/refresh", json={"refresh_token": pair["refresh_token"]})))
    http = as_bearer(scene, renewed)
    for current, status in ((wrong, 401), (password, 204)):
        assert http.post("/auth/password", json={
            "current_password": current, "new_password": new}).status_code == status
    lost = scene.add_pair("a stolen session", assert_ok(auth.login(name, new)))
    second = scene.add_pair("its owner", assert_ok(auth.http.post(
        "/auth/refresh", json={"refresh_token": lost["refresh_token"]})))
    for used in (second["refresh_token"], lost["refresh_token"]):
        answer = auth.http.post("/auth/refresh", json={"refresh_token": used})
        if answer.status_code == 200:
            scene.add_pair("the last of them", answer.json())
    feed = scene.auth_service.environment["FEED_SECRET"]
    for value, status in ((feed, 200), (wrong.encode().hex(), 401)):
        assert auth.http.get("/internal/revocations", headers={
            "Authorization": f"Bearer {value}"}).status_code == status
    return renewed


def use_wrongly(scene, pair):
    """Secrets of the wrong type, in the wrong place, in requests that are none."""
    auth, wrong = scene.auth, scene.canary("misplaced password")
    token, refresh = pair["access_token"], pair["refresh_token"]
    for body in ({"username": new_name(), "password": [wrong]},
                 {"username": new_name(), "password": {wrong: wrong}},
                 {"username": [wrong], "password": wrong}, {"username": wrong, "password": wrong},
                 {"password": wrong}):
        for path in ("/users/", "/auth/login"):
            assert auth.http.post(path, json=body).status_code == 422
    for body in ({"refresh_token": [refresh]}, {"refresh_token": {"a": refresh}},
                 {"refresh_token": refresh[:-1]}, {"refresh_token": token}, {"token": refresh}):
        assert auth.http.post("/auth/refresh", json=body).status_code in (401, 422)
    json = {"Content-Type": "application/json"}
    for content in (b'{"password": "%s"', b'{"password": "%s", "password": "%s"}', b"[%s", b'"%s"',
                    b'{"username": "aaaa", "password": "%s\xff"}'):
        content = content.replace(b"%s", wrong.partition("-\"")[0].encode())
        for path in ("/users/", "/auth/login", "/auth/password"):
            assert auth.http.post(path, content=content, headers={
                **json, "Authorization": f"Bearer {token}"}).status_code in (400, 401, 422)
    for service, path in ((scene.auth_service, "/users/me"), (scene.wallet_service, "/wallet/accounts")):
        client = scene.client(service)
        assert client.get(path, params={"access_token": token, "password": wrong}).status_code == 401
        for value in (f"Bearer {token}x", f"Bearer {token} {token}", f"Basic {refresh}",
                      f"Bearer {refresh}", token):
            assert client.get(path, headers={"Authorization": value}).status_code in (400, 401)
        client.get(path, headers={"Cookie": f"session={refresh}", "X-Token": token})
        client.request("PUT", path, headers={"Authorization": f"Bearer {token}"})
    wallet = as_bearer(scene, pair, scene.wallet_service)
    assert wallet.post("/wallet/deposit", json={"account_id": refresh, "amount": token,
                                                "idempotency_key": new_key()}).status_code == 422


def use_tools(scene, pair):
    environment = scene.databases["wallet"].environment()
    debug = {"LOG_LEVEL": "debug"}
    assert scene.run("ledger_report", environment, "trial-balance").returncode == 0
    assert scene.run("ledger_report", environment, "check").returncode == 0
    scene.run("ledger_report", {**environment, "POSTGRES_PASSWORD": scene.canary("wrong database password")},
              "trial-balance")
    for service in scene.services:
        assert scene.run(service.name, {**service.environment, **debug}, "--check-config").returncode == 0
    scene.run("auth_api", {**scene.auth_service.environment, "JWT_SECRET": scene.canary("short")[:20]},
              "--check-config")
    env_file, name = scene.folder / ".env", new_name("root")
    env_file.write_text("".join(f"{key}={value}\n" for key, value in
                                scene.auth_service.environment.items() if key.startswith("POSTGRES_")))
    for arguments in (("create", name, "--password-file", "-"), ("grant", name)):
        run = subprocess.run([REPO / "ops" / "admin", *arguments], capture_output=True, text=True,
                             input=scene.canary("password of ops/admin"), timeout=scaled(60), env={
                                 **base_environment(), "AUTH_URL": scene.auth_service.url,
                                 "AUTH_ENV_FILE": str(env_file)})
        scene.tools.append(("ops/admin", run))
    scene.tools.append(("auth_keys", scene.keys.run("rotate")))


def break_the_database(scene, pair):
    """Statements that fail in the middle, and a server that is not there."""
    auth, lost, database = scene.auth, scene.canary("password while it fails"), scene.databases["auth"]

    def try_all():
        name = new_name()
        calls = [("/users/", {"username": name, "password": lost}),
                 ("/auth/login", {"username": name, "password": lost}),
                 ("/auth/refresh", {"refresh_token": pair["refresh_token"]}),
                 ("/auth/password", {"current_password": lost, "new_password": lost + "2"}),
                 ("/auth/token", {"grant_type": "client_credentials", "client_id": name,
                                  "client_secret": lost})]
        statuses = []
        for path, body in calls:
            try:
                answer = auth.http.post(path, json=body, headers={
                    "Authorization": f"Bearer {pair['access_token']}"})
                if answer.status_code == 200 and "refresh_token" in answer.json():
                    scene.add_pair("a call that worked all the same", answer.json())
                statuses.append(answer.status_code)
            except httpx.TransportError:
                statuses.append(None)
        return statuses

    for table in ("users", "guess", "session", "refresh_token", "audit"):
        database.execute(f"ALTER TABLE auth.{table} RENAME TO elsewhere")
        assert 500 in try_all(), f"expected statements to fail without {table}"
        database.execute(f"ALTER TABLE auth.elsewhere RENAME TO {table}")
    database.execute("ALTER TABLE auth.users ADD CONSTRAINT nobody CHECK (length(username) < 0) NOT VALID")
    assert 500 in try_all(), "expected a constraint to fail"
    database.execute("ALTER TABLE auth.users DROP CONSTRAINT nobody")
    thread = threading.Thread(target=lambda: [try_all() for _ in range(3)])
    thread.start()
    scene.cluster.kill()
    thread.join()
    assert 503 in try_all()
    scene.run("ledger_report", scene.databases["wallet"].environment(), "trial-balance")
    scene.cluster.start()
    for service in scene.services:
        wait_until(lambda: service.probe("/readyz") == 200, "the service is ready again", 15)


def texts_of(scene):
    texts = {f"the log of {service.name}": service.log_text() for service in scene.services}
    texts["the log of PostgreSQL"] = (scene.cluster.folder / "postgresql.log").read_text(errors="replace")
    for project, schema in (("auth", "auth"), ("wallet", "ledger")):
        texts[f"the trail of {project}"] = "\n".join(row[0] for row in scene.databases[project].query(
            f"SELECT a::text FROM {schema}.audit AS a"))
    for number, (name, run) in enumerate(scene.tools):
        texts[f"what {name} said ({number})"] = run.stdout + run.stderr
    for number, service in enumerate(scene.services):
        arguments = open(f"/proc/{service.process.pid}/cmdline", "rb").read()
        texts[f"the command line of {service.name}"] = arguments.decode()
    return texts


def refusals_of(scene):
    """Answers that give nobody anything, head and body."""
    return "\n".join(f"{answer.headers}\n{answer.text}" for answer in scene.answers
                     if answer.status_code >= 400 or answer.request.url.path not in (
                         "/auth/login", "/auth/refresh", "/auth/token", "/service-accounts/"))


def test_no_secret_is_in_any_log(scene):
    pair = use_everything(scene)
    wallet = User(scene.wallet_service, None, token=pair["access_token"], user_id="of-the-token")
    assert wallet.balance(wallet.account("10.00")) == "10.00"
    use_wrongly(scene, pair)
    use_tools(scene, pair)
    break_the_database(scene, pair)
    scene.add_keys()
    assert len(scene.secrets.forms) >= 25
    texts = texts_of(scene)
    log = texts["the log of PostgreSQL"]
    for mark, why in (("login_begin", "the statements"), ("users_username_key", "one that failed"),
                      ("parameters: $1 = ", "parameters"), ("database system was interrupted", "a crash"),
                      ("does not exist", "a table that is not there")):
        assert mark in log, f"expected PostgreSQL to log {why}"
    assert "statement_failed" in scene.auth_service.log_text(), "expected it to tell what went wrong"
    texts["an answer that refuses"] = refusals_of(scene)
    assert texts["an answer that refuses"].count("\n") > 100
    # Stored hashes open nothing by themselves; PostgreSQL is given them, and nobody else tells them.
    hashes = [row[0] for row in scene.databases["auth"].query("SELECT password_hash FROM auth.users")]
    for where, text in texts.items():
        assert scene.secrets.found_in(text) == [], f"in {where}"
        assert where == "the log of PostgreSQL" or not [one for one in hashes if one in text], where
    for service in scene.services:
        limits = open(f"/proc/{service.process.pid}/limits").read()
        assert "Max core file size        0 " in limits, "expected no core, which would have them all"


# ---- memory ----

REGION_MAX = 1 << 28  # bytes; larger ones are a sanitizer's shadow


def in_memory(service, texts):
    """Which of the texts stand in the memory of a running service, and what is before them."""
    found = {}
    pid = service.process.pid
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            begin, end = (int(one, 16) for one in line.split()[0].split("-"))
            if "r" not in line.split()[1] or "[v" in line or end - begin > REGION_MAX:
                continue
            try:
                memory.seek(begin)
                data = memory.read(end - begin)
            except OSError:  # unmapped meanwhile
                continue
            for name, text in texts.items():
                place = data.find(text.encode())
                if place >= 0:
                    found[name] = data[max(0, place - 60):place]
    return found


@pytest.fixture
def quiet(databases, auth_settings, folder):
    database = databases.copy("auth")
    service = Service("auth_api", {**auth_settings, **database.environment(), "THREADS": "1"},
                      folder / "memory").start()
    yield service, database
    service.stop()


def test_what_was_used_does_not_stay_in_memory(quiet):
    """Passwords, refresh tokens and client secrets are wiped where they were read, used and answered."""
    service, database = quiet
    try:
        open(f"/proc/{service.process.pid}/mem", "rb").close()
    except PermissionError:  # it is not dumpable: root alone may, and not in every container
        pytest.skip("the memory of a service cannot be read here")
    auth, name = Auth(service), new_name()
    texts = {what: f"canary-{secrets.token_hex(12)}" for what in (
        "password", "wrong", "refused", "new", "not JSON")}
    assert in_memory(service, {"the settings": service.environment["JWT_SECRET"]}), (
        "expected to find what the service does keep")
    assert_ok(auth.register(name, texts["password"]))
    assert auth.login(name, texts["wrong"]).status_code == 401
    assert auth.register(name, texts["refused"]).status_code == 400
    assert auth.register("x", texts["refused"]).status_code == 422
    assert auth.http.post("/auth/login", content=b'{"password": "%s"' % texts["not JSON"].encode(),
                          headers={"Content-Type": "application/json"}).status_code == 400
    database.execute("UPDATE auth.users SET roles = '{user,admin}' WHERE username = %s", (name,))
    pair = assert_ok(auth.login(name, texts["password"]))
    texts["refresh token"] = pair["refresh_token"]
    pair = assert_ok(auth.http.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}))
    texts["new refresh token"] = pair["refresh_token"]
    bearer = {"Authorization": f"Bearer {pair['access_token']}"}
    account = assert_ok(auth.http.post("/service-accounts/", headers=bearer, json={
        "name": new_name("job"), "roles": ["auditor"]}), 201)
    texts["client secret"] = account["client_secret"]
    assert_ok(auth.http.post("/auth/token", json={
        "grant_type": "client_credentials", "client_id": account["client_id"],
        "client_secret": account["client_secret"]}))
    assert auth.http.post("/auth/password", headers=bearer, json={
        "current_password": texts["password"], "new_password": texts["new"]}).status_code == 204
    try:
        wait_until(lambda: not in_memory(service, texts), "nothing is left", 3)
    except AssertionError:
        raise AssertionError(f"expected nothing to be left: {in_memory(service, texts)}") from None


def test_each_form_of_a_leak_is_found():
    """The search itself: a secret in the middle of a line, in whatever form and in part."""
    found = leaks.Secrets()
    raw = secrets.token_bytes(32)
    token = base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    password = f"canary-{secrets.token_hex(16)}{SUFFIX}"
    found.add("password", password)
    found.add_random("token", token)
    assert found.found_in("nothing, and " + secrets.token_hex(32)) == []
    for before in ("", "a", "ab", "abc"):
        for text, name in ((password, "password"), (token, "token"), (password[:25], "password"),
                           (token[-25:], "token")):
            line = f'{before}{text}","next'
            for form in (line, line.encode().hex(), line.encode().hex().upper(),
                         base64.b64encode(line.encode()).decode(),
                         base64.urlsafe_b64encode(line.encode()).decode()):
                assert found.found_in(f"log: {form} end") == [name], f"{name} as {form}"
        for data in (raw, raw[:20], raw[-20:]):
            data = before.encode() + data + b"x"
            for form in (data.hex(), base64.b64encode(data).decode()):
                assert found.found_in(f"\\x{form}") == ["token"], form
