"""What auth_api issues is what wallet_api accepts, through key rotation, and no longer than it should."""

import base64
import hashlib
import json
import threading
import time

import pytest

from support import prometheus, tokens
from support.api import assert_ok, assert_problem, assert_unauthorized
from support.service import run_to_end
from support.settings import scaled
from support.trust import PASSWORD, Keys, Trust
from support.waiting import wait_until

WITHIN_S = 1.0


@pytest.fixture(scope="module")
def trust(auth_settings, wallet_settings, folder):
    trust = Trust(auth_settings, wallet_settings, folder / "trust").start()
    yield trust
    trust.stop()


@pytest.fixture
def person(trust):
    return trust.person()


def jwks(trust):
    response = trust.auth.http.get("/.well-known/jwks.json")
    assert response.status_code == 200
    return response


# ---- what is issued and accepted ----


def test_what_is_issued_is_accepted(trust, person):
    login = person.login()
    assert_ok(login.wallet.accounts())
    header = tokens.header_of(login.pair["access_token"])
    assert header == {"alg": "ES256", "typ": "JWT", "kid": trust.keys.name("active")}
    claims = tokens.claims_of(login.pair["access_token"])
    assert set(claims) == {"iss", "aud", "sub", "iat", "exp", "jti", "sid", "roles"}
    assert (claims["iss"], claims["aud"]) == ("https://auth.example", "wallet")
    assert (claims["sub"], claims["sid"], claims["roles"]) == (person.id, login.id, ["user"])
    refreshed = assert_ok(trust.auth.http.post(
        "/auth/refresh", json={"refresh_token": login.pair["refresh_token"]}))
    login.wallet.http.headers["Authorization"] = f"Bearer {refreshed['access_token']}"
    assert_ok(login.wallet.accounts())


def test_the_shared_secret_is_no_key(trust, person, secret):
    login = person.login()
    claims = tokens.claims_of(login.pair["access_token"])
    for header in ({"alg": "HS256", "typ": "JWT"},
                   {"alg": "HS256", "typ": "JWT", "kid": trust.keys.name("active")},
                   {"alg": "ES256", "typ": "JWT", "kid": trust.keys.name("active")}):
        token = tokens.encode(claims, secret, header)
        login.wallet.http.headers["Authorization"] = f"Bearer {token}"
        response = login.wallet.accounts()
        assert_unauthorized(response)
        assert 'error="invalid_token"' in response.headers["www-authenticate"]


def test_jwks(trust):
    response = jwks(trust)
    assert response.headers["content-type"] == "application/jwk-set+json"
    assert response.headers["cache-control"] == "public, max-age=300"
    keys = response.json()["keys"]
    assert [key["kid"] for key in keys] == [kid for kid, _ in trust.keys.states()]
    for key in keys:
        assert set(key) == {"kty", "crv", "use", "alg", "kid", "x", "y"}
        assert (key["kty"], key["crv"], key["use"], key["alg"]) == ("EC", "P-256", "sig", "ES256")
        for name in ("x", "y"):
            assert len(base64.urlsafe_b64decode(key[name] + "=")) == 32
        text = json.dumps({name: key[name] for name in ("crv", "kty", "x", "y")},
                          separators=(",", ":"))
        assert key["kid"] == tokens.thumbprint(text)


# ---- rotation ----


def test_a_rotation_refuses_nobody(trust, person):
    old = person.login()
    before = dict(trust.keys.states())
    after = trust.keys.states("rotate")
    assert after[0] == (next(kid for kid, state in before.items() if state == "active"), "verify")
    assert after[1][1] == "active" and before[after[1][0]] == "next"
    wait_until(lambda: tokens.header_of(person.login().pair["access_token"])["kid"] == after[1][0],
               "the new key signs", 2)
    new = person.login()
    for _ in range(20):
        assert_ok(old.wallet.accounts())
        assert_ok(new.wallet.accounts())
        time.sleep(0.02)


def test_rotations_under_load(trust):
    """Three here, ten in rotate.py: no token that was issued is refused."""
    result = load_through(trust, lambda: trust.keys.run("rotate"), times=3, every_s=0.6)
    assert result["calls"] > 100 and result["refused"] == []


def load_through(trust, action, times, every_s):
    stopping, refused, calls = threading.Event(), [], [0]
    person = trust.person()

    def work():
        while not stopping.is_set():
            login = person.login()
            for _ in range(10):
                status = login.wallet.accounts().status_code
                calls[0] += 1
                if status != 200:
                    refused.append(status)
            login.auth("POST", "/auth/logout")
            login.wallet.http.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(times):
        time.sleep(every_s)
        action()
    time.sleep(every_s)
    stopping.set()
    for thread in threads:
        thread.join(scaled(30))
    return {"calls": calls[0], "refused": refused}


def test_a_withdrawn_key_is_refused_at_once(trust, person):
    login = person.login()
    trust.keys.run("withdraw", tokens.header_of(login.pair["access_token"])["kid"])
    assert login.refused_after() < scaled(WITHIN_S)
    assert_unauthorized(login.auth("GET", "/users/me"))
    assert_ok(person.login().wallet.accounts())


def test_the_next_key_must_have_been_published(tmp_path):
    keys = Keys(tmp_path, next_age_s=600)
    assert [state for _, state in keys.states("init")] == ["active", "next"]
    before = keys.states()
    run = keys.run("rotate", check=False)
    assert run.returncode == 1 and "published for 600 s" in run.stderr
    assert keys.states() == before
    assert keys.states("init") == before, "a second init changes nothing"


def test_key_files(tmp_path):
    keys = Keys(tmp_path)
    keys.run("init")
    keys.run("rotate")
    states = dict(keys.states())
    assert keys.folder.stat().st_mode & 0o777 == 0o700
    private = {path.stem for path in keys.folder.glob("*.pem")}
    assert private == {kid for kid, state in states.items() if state != "verify"}
    for path in keys.folder.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600, path
    keys.run("withdraw", keys.name("next"))
    assert sorted(dict(keys.states()).values()) == ["active", "next", "verify"]
    assert keys.run("withdraw", "no such key", check=False).returncode == 1
    assert keys.run("dance", check=False).returncode == 64


def test_a_key_list_that_cannot_be_used_changes_nothing(trust, person):
    path = trust.keys.folder / "keys.json"
    good = path.read_bytes()
    before = jwks(trust).json()
    path.write_text('{"keys": []}')
    trust.auth_service.wait_log(lambda line: line["event"] == "keys_unusable", "the list is refused")
    assert jwks(trust).json() == before
    assert_ok(person.login().wallet.accounts())
    path.write_bytes(good)


def test_unknown_keys_make_no_flood_of_fetches(trust, person):
    """Whoever invents names of keys makes wallet_api ask for them once in half a minute."""
    def fetches():
        families = prometheus.parse(trust.auth.http.get("/metrics").text)
        return prometheus.value(families, "http_requests_total", route="/.well-known/jwks.json")

    login = person.login()
    header, claims, signature = login.pair["access_token"].split(".")
    before = fetches()
    for number in range(200):
        kid = tokens.base64url(hashlib.sha256(str(number).encode()).digest())
        head = tokens.base64url(json.dumps({"alg": "ES256", "typ": "JWT", "kid": kid}).encode())
        login.wallet.http.headers["Authorization"] = f"Bearer {head}.{claims}.{signature}"
        assert_unauthorized(login.wallet.accounts())
    time.sleep(0.6)  # two rounds of wallet_api
    assert fetches() - before <= 2, "expected one for the unknown, and one of a schedule at most"


# ---- what ends a session ends it at wallet_api ----


def test_logout_reaches_wallet_api(trust, person):
    login, other = person.login(), person.login()
    assert_ok(login.wallet.accounts())
    assert login.auth("POST", "/auth/logout").status_code == 204
    assert login.refused_after() < scaled(WITHIN_S)
    response = login.wallet.accounts()
    assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert_problem(response, 401, "The session has ended.")
    assert_ok(other.wallet.accounts())


def test_the_end_of_a_session_reaches_wallet_api(trust, person):
    login, other = person.login(), person.login()
    assert_ok(login.wallet.accounts())
    assert other.auth("DELETE", f"/auth/sessions/{login.id}").status_code == 204
    assert login.refused_after() < scaled(WITHIN_S)
    assert_ok(other.wallet.accounts())


def test_a_new_password_reaches_wallet_api(trust, person):
    login, other = person.login(), person.login()
    assert_ok(login.wallet.accounts())
    assert other.auth("POST", "/auth/password", json={
        "current_password": PASSWORD, "new_password": "another horse battery"}).status_code == 204
    assert login.refused_after() < scaled(WITHIN_S)
    assert_ok(other.wallet.accounts())


@pytest.mark.parametrize("change", ["roles = '{user,operator}'", "disabled_at = now()"])
def test_a_change_of_the_user_reaches_wallet_api(trust, person, server, auth_settings, change):
    login = person.login()
    assert_ok(login.wallet.accounts())
    with server.connect(auth_settings["POSTGRES_DB"]) as connection:
        connection.execute(f"UPDATE auth.users SET {change} WHERE id = %s", (person.id,))
    assert login.refused_after() < scaled(WITHIN_S)


def test_a_stolen_refresh_token_reaches_wallet_api(trust, person):
    login = person.login()
    refresh = lambda token: trust.auth.http.post("/auth/refresh", json={"refresh_token": token})
    second = assert_ok(refresh(login.pair["refresh_token"]))
    assert_ok(refresh(second["refresh_token"]))
    assert_unauthorized(refresh(login.pair["refresh_token"]))
    assert login.refused_after() < scaled(WITHIN_S)


def test_a_slow_transaction_is_not_missed(trust, person, server, auth_settings):
    """It takes its number first and commits last; others come and go meanwhile."""
    login = person.login()
    assert_ok(login.wallet.accounts())
    with server.connect(auth_settings["POSTGRES_DB"]) as connection:
        connection.autocommit = False
        connection.execute("SELECT auth.session_end(%s, 'logout', NULL, '{}')", (login.id,))
        for _ in range(3):
            other = person.login()
            assert other.auth("POST", "/auth/logout").status_code == 204
            other.refused_after()
        assert_ok(login.wallet.accounts())
        connection.commit()
    assert login.refused_after() < scaled(WITHIN_S)


# ---- starts and failures ----


def test_what_ended_before_the_start_is_known(trust, person, auth_settings, wallet_settings, folder):
    logins = [person.login() for _ in range(5)]
    for login in logins:
        assert login.auth("POST", "/auth/logout").status_code == 204
    trust.wallet_service.kill()
    trust.wallet_service.start()
    for login in logins:
        assert_unauthorized(login.wallet.accounts())
    assert_ok(person.login().wallet.accounts())


def test_not_ready_before_all_is_known(trust, wallet_settings, folder):
    """Without auth_api nothing is known: no token is judged."""
    environment = {**trust.wallet_service.environment, "AUTH_JWKS_URL": "http://127.0.0.1:9/keys",
                   "AUTH_REVOCATIONS_URL": "http://127.0.0.1:9/revocations"}
    from support.service import Service
    service = Service("wallet_api", environment, folder / "alone")
    service.start(wait=False)
    wait_until(lambda: service.probe("/readyz") == 503, "it says that it is not ready", 10)
    lines = service.wait_log(lambda line: line["event"] == "token_feed_failed", "it says why")
    assert len(lines) == 1
    service.stop()


def test_too_long_without_auth_api(auth_settings, wallet_settings, folder):
    trust = Trust(auth_settings, wallet_settings, folder / "stale", REVOCATIONS_STALE_MAX_S="1")
    trust.start()
    login = trust.person().login()
    assert_ok(login.wallet.accounts())
    trust.auth_service.kill()
    assert_ok(login.wallet.accounts())  # what is known is used for a while
    wait_until(lambda: login.wallet.accounts().status_code == 503, "tokens are not judged", 5)
    response = login.wallet.accounts()
    assert response.headers["retry-after"] == "1"
    assert trust.wallet_service.probe("/readyz") == 503
    assert trust.wallet_service.probe("/healthz") == 200
    trust.auth_service.start()
    wait_until(lambda: login.wallet.accounts().status_code == 200, "they are again", 5)
    trust.stop()


def test_the_feed_is_for_those_who_know_its_secret(trust):
    http = trust.auth.http
    assert_unauthorized(http.get("/internal/revocations"))
    for value in ("Bearer wrong", "Bearer", f"Basic {trust.auth_service.environment['FEED_SECRET']}",
                  f"Bearer {trust.auth_service.environment['FEED_SECRET']}x"):
        response = http.get("/internal/revocations", headers={"Authorization": value})
        assert response.status_code in (400, 401), value
    good = {"Authorization": f"Bearer {trust.auth_service.environment['FEED_SECRET']}"}
    body = assert_ok(http.get("/internal/revocations", headers=good))
    assert set(body) == {"keys", "next", "more", "revocations"}
    for query in ("after=x", "after=-1", "after=", "beyond=x", "after=1&after=2"):
        assert http.get(f"/internal/revocations?{query}", headers=good).status_code == 422, query


def test_without_a_secret_there_is_no_feed(auth):
    assert_problem(auth.http.get("/internal/revocations"), 403)


@pytest.mark.parametrize("name, value, variable", [
    ("auth_api", {"JWT_ALGORITHM": "ES256"}, "KEYS_DIR"),
    ("auth_api", {"FEED_SECRET": "short"}, "FEED_SECRET"),
    ("wallet_api", {"JWT_ALGORITHM": "ES256"}, "AUTH_JWKS_URL"),
    ("wallet_api", {"AUTH_REVOCATIONS_URL": "http://127.0.0.1:9/"}, "FEED_SECRET"),
    ("wallet_api", {"JWT_REQUIRED_CLAIMS": "iat,exp"}, "JWT_REQUIRED_CLAIMS"),
    ("wallet_api", {"JWT_ALGORITHM": "none"}, "JWT_ALGORITHM")])
def test_settings_that_do_not_fit(auth_settings, wallet_settings, name, value, variable):
    settings = {"auth_api": auth_settings, "wallet_api": wallet_settings}[name]
    run = run_to_end(name, {**settings, "UVICORN_PORT": "18999", **value})
    assert run.returncode in (1, 78) and variable in run.stderr.splitlines()[-1], run.stderr


def test_nothing_secret_is_logged(trust):
    texts = trust.auth_service.log_text() + trust.wallet_service.log_text()
    pem = "".join(path.read_text() for path in trust.keys.folder.glob("*.pem")).splitlines()
    for mark in (trust.auth_service.environment["FEED_SECRET"], *[line for line in pem if line[0] != "-"]):
        assert mark not in texts
