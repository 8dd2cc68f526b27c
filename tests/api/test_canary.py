"""No password, token, client secret or pepper is in any log, PostgreSQL's included, which here writes down every
statement with all of its parameters: what it is not given, it cannot tell."""

import base64
import secrets

import pytest

from support.api import Auth, assert_ok, http_client, new_name
from support.cluster import Cluster
from support.databases import Databases
from support.service import Service


@pytest.fixture
def talkative():
    """A server that logs all that it can."""
    cluster = Cluster(log_statement="all", log_min_error_statement="debug5",
                      log_min_messages="info", log_parameter_max_length="-1",
                      log_parameter_max_length_on_error="-1", log_duration="on").create()
    yield cluster
    cluster.stop()


def canary(kind):
    return f"canary-{kind}-{secrets.token_hex(8)}"


def test_no_secret_is_in_any_log(talkative, folder, tmp_path):
    databases = Databases(talkative)
    database = databases.copy("auth")
    pepper = base64.b64encode(secrets.token_bytes(32)).decode()
    (tmp_path / "peppers").write_text(f"p1 {pepper}\n")
    (tmp_path / "peppers").chmod(0o400)
    jwt_secret = canary("jwt") + secrets.token_hex(16)
    service = Service("auth_api", {
        **database.environment(), "JWT_SECRET": jwt_secret, "BCRYPT_COST": "4",
        "LOG_LEVEL": "debug", "PASSWORD_PEPPER_FILE": str(tmp_path / "peppers")}, folder).start()
    seen = {"jwt": jwt_secret, "pepper": pepper}
    try:
        auth = Auth(service)
        name, seen["password"], seen["new"] = new_name(), canary("password"), canary("new")
        seen["wrong"], seen["name"] = canary("wrong"), canary("name")
        assert_ok(auth.register(name, seen["password"]))
        assert auth.register(name, seen["wrong"]).status_code == 400  # a statement that fails
        assert auth.login(name, seen["wrong"]).status_code == 401
        assert auth.login(seen["name"], seen["wrong"]).status_code == 401
        assert auth.login(name + "\u0000", seen["wrong"]).status_code in (400, 422)
        auth.http.post("/auth/login", content=b'{"password": "%s"' % seen["wrong"].encode(),
                       headers={"Content-Type": "application/json"})
        pair = assert_ok(auth.login(name, seen["password"]))
        database.execute("UPDATE auth.users SET roles = '{user,admin}' WHERE username = %s", (name,))
        pair = assert_ok(auth.login(name, seen["password"]))
        http = http_client(service, headers={"Authorization": f"Bearer {pair['access_token']}"})
        account = assert_ok(http.post("/service-accounts/", json={
            "name": new_name("job"), "roles": ["auditor"]}), 201)
        token = assert_ok(auth.http.post("/auth/token", json={
            "grant_type": "client_credentials", "client_id": account["client_id"],
            "client_secret": account["client_secret"]}))
        renewed = assert_ok(auth.http.post("/auth/refresh",
                                           json={"refresh_token": pair["refresh_token"]}))
        auth.http.get("/users/me", params={"access_token": seen["wrong"]})
        assert http.post("/auth/password", json={"current_password": seen["wrong"],
                                                 "new_password": seen["new"]}).status_code == 401
        assert http.post("/auth/password", json={"current_password": seen["password"],
                                                 "new_password": seen["new"]}).status_code == 204
        seen |= {"access": pair["access_token"], "refresh": pair["refresh_token"],
                 "renewed access": renewed["access_token"], "client": account["client_secret"],
                 "renewed": renewed["refresh_token"], "service": token["access_token"]}
        hashes = [row[0] for row in database.query("SELECT password_hash FROM auth.users")]
        mistaken = seen.pop("name")  # a name that nobody has, perhaps a password
    finally:
        service.stop()
    logs = {"auth_api": service.log_text(),
            "PostgreSQL": (talkative.folder / "postgresql.log").read_text(errors="replace"),
            "audit trail": "\n".join(row[0] for row in database.query(
                "SELECT a::text FROM auth.audit AS a"))}
    assert "login_begin" in logs["PostgreSQL"], "expected PostgreSQL to log the statements"
    assert "users_username_key" in logs["PostgreSQL"], "and the one that failed"
    assert name in logs["PostgreSQL"], "and their parameters"
    for log, text in logs.items():
        for kind, value in seen.items():
            # The service logs the path, and so a token that was put into a query is not in it.
            assert value not in text, f"the {kind} is in the log of {log}"
        if log != "PostgreSQL":  # which is given these, and logs them when it is told to
            for value in (mistaken, *hashes):
                assert value not in text, f"a stored hash, or the name of nobody, is in {log}"
