"""Guesses cost: waits of a name, buckets of addresses and of all, whoever the name belongs to, and whatever restarts."""

import re
import secrets
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from support.api import Auth, assert_ok, http_client, new_name
from support.service import Service
from support.waiting import wait_until

PASSWORD = "correct horse battery"
LIMITS = {"LOGIN_FREE_FAILURES": "5", "LOGIN_WAIT_MAX_S": "3600", "LOGIN_ADDRESS_BURST": "10000",
          "LOGIN_ALL_BURST": "10000", "TRUSTED_PROXIES": "127.0.0.1"}


@pytest.fixture(scope="module")
def database(databases):
    return databases.copy("auth")


@pytest.fixture(scope="module")
def settings(database, auth_settings):
    return {**auth_settings, **database.environment(), **LIMITS}


@pytest.fixture(scope="module")
def service(settings, folder):
    service = Service("auth_api", settings, folder).start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def auth(service):
    return Auth(service)


def address():
    """One that nobody has used yet."""
    return f"198.18.{secrets.randbelow(256)}.{secrets.randbelow(256)}"


def login(auth, name, password, client="192.0.2.1"):
    return auth.http.post("/auth/login", json={"username": name, "password": password},
                          headers={"X-Forwarded-For": client})


def user(auth):
    name = new_name()
    assert_ok(auth.register(name, PASSWORD))
    return name


def rewind(database, seconds):
    """All waits and buckets, as if so much time had gone by."""
    database.execute("UPDATE auth.guess SET wait_until = wait_until - %s * interval '1 second'"
                     " WHERE wait_until > '-infinity'", (seconds,))
    database.execute("UPDATE auth.bucket SET full_at = full_at - %s * interval '1 second'",
                     (seconds,))


LIST = re.compile(r'"(?P<name>[a-z-]+)"(?P<parameters>(;[a-z]+=\d+)+)')


def limits_of(answer):
    """The structured fields of a 429, parsed strictly."""
    def read(header):
        match = LIST.fullmatch(answer.headers[header])
        assert match, f"{header}: {answer.headers[header]}"
        pairs = (one.split("=") for one in match["parameters"].split(";")[1:])
        return match["name"], {name: int(value) for name, value in pairs}
    assert answer.status_code == 429, f"expected 429: {answer.status_code} {answer.text}"
    policy, quota = read("RateLimit-Policy")
    name, state = read("RateLimit")
    assert policy == name and set(quota) == {"q", "w"} and set(state) == {"r", "t"}
    assert state["r"] == 0 and quota["q"] > 0 and quota["w"] > 0
    wait = int(answer.headers["Retry-After"])
    assert wait >= state["t"] >= 1
    problem = answer.json()
    assert problem["type"] == "urn:pacioli:problem:too_many_attempts"
    assert problem["violated-policies"] == [name]
    assert answer.headers["Cache-Control"] == "no-store"
    return name, wait


# ---- the waits of a name ----

@pytest.mark.parametrize("known_to_us", [True, False], ids=["user", "nobody"])
def test_waits_grow_and_end_at_an_hour_whoever_has_the_name(auth, database, known_to_us):
    name = user(auth) if known_to_us else new_name("nobody")
    client = address()
    for _ in range(5):
        assert login(auth, name, "wrong password", client).status_code == 401
    expected = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600]
    for wait in expected:
        limit, told = limits_of(login(auth, name, PASSWORD, client))
        assert limit == "login-account"
        assert wait - 1 <= told <= wait, f"expected a wait of {wait} s, was told {told}"
        rewind(database, told - 1 if told > 1 else 0)
        if told > 1:
            assert login(auth, name, PASSWORD, client).status_code == 429, "a second too early"
        rewind(database, 2)
        assert login(auth, name, "wrong password", client).status_code == 401


def test_success_begins_anew(auth, database):
    name, client = user(auth), address()
    for _ in range(4):
        assert login(auth, name, "wrong password", client).status_code == 401
    assert login(auth, name, PASSWORD, client).status_code == 200
    (event, detail), = database.query(
        "SELECT event, detail FROM auth.audit WHERE actor = (SELECT id::text FROM auth.users"
        " WHERE username = %s) AND event LIKE 'authn_login_success%%'", (name,))
    assert (event, detail) == ("authn_login_successafterfail", {"failures": 4})
    for _ in range(5):
        assert login(auth, name, "wrong password", client).status_code == 401


def test_a_hundred_failures_in_a_row_lock_the_name(auth, database):
    name, client = user(auth), address()
    for _ in range(5):
        login(auth, name, "wrong password", client)
    database.execute("UPDATE auth.guess SET failures = 99 WHERE failures = 5 AND wait_until > now()")
    rewind(database, 4000)
    assert login(auth, name, "wrong password", client).status_code == 401
    rewind(database, 4000)
    answer = login(auth, name, PASSWORD, client)
    assert answer.status_code == 401, "expected the right password of a locked name to be refused"
    events = {event for event, in database.query(
        "SELECT event FROM auth.audit WHERE subject = (SELECT id::text FROM auth.users"
        " WHERE username = %s)", (name,))}
    assert {"authn_login_lock", "authn_login_fail_max", "authn_login_fail"} <= events


# ---- four failures, one answer ----

def test_the_four_failures_are_the_same_byte_by_byte(auth, database):
    disabled, locked, wrong = user(auth), user(auth), user(auth)
    database.execute("UPDATE auth.users SET disabled_at = now() WHERE username = %s", (disabled,))
    client = address()
    login(auth, locked, "wrong password", client)
    database.execute("UPDATE auth.guess SET failures = 100 WHERE used_at = (SELECT max(used_at)"
                     " FROM auth.guess)")
    answers = [login(auth, name, password, client) for name, password in (
        (new_name("nobody"), PASSWORD), (wrong, "wrong password"), (disabled, PASSWORD),
        (locked, PASSWORD))]

    def shape(answer):
        headers = {name: value for name, value in answer.headers.items()
                   if name.lower() not in ("date", "x-request-id")}
        return answer.status_code, answer.content, list(headers.items())
    assert answers[0].status_code == 401
    for answer in answers[1:]:
        assert shape(answer) == shape(answers[0])
    reasons = [reason for reason, in database.query(
        "SELECT reason FROM auth.audit WHERE event = 'authn_login_fail' ORDER BY id DESC LIMIT 4")]
    assert reasons == ["locked", "disabled", "wrong_password", "unknown_user"]


# ---- addresses, and all of them ----

@pytest.fixture(scope="module")
def narrow(settings, folder, databases):
    """An auth_api with five tokens an address and eight for all, which come back slowly."""
    database = databases.copy("auth")
    service = Service("auth_api", {**settings, **database.environment(), "LOGIN_ADDRESS_BURST": "5",
                                   "LOGIN_ADDRESS_PER_MINUTE": "1", "LOGIN_ALL_BURST": "8",
                                   "LOGIN_ALL_PER_MINUTE": "1"}, folder).start()
    yield service, database
    service.stop()


def forget(database):
    database.execute("DELETE FROM auth.bucket")
    database.execute("DELETE FROM auth.guess")


def test_an_address_has_its_bucket(narrow):
    service, database = narrow
    forget(database)
    auth, client = Auth(service), address()
    for _ in range(5):
        assert login(auth, new_name(), "wrong password", client).status_code == 401
    limit, wait = limits_of(login(auth, new_name(), "wrong password", client))
    assert limit == "login-address" and 50 <= wait <= 60
    assert login(auth, new_name(), "wrong password", address()).status_code == 401
    # Of IPv6 a client has a /64.
    for i in range(2):
        assert login(auth, new_name(), "wrong password", f"2001:db8:1:1::{i}").status_code == 401
    limit, _ = limits_of(login(auth, new_name(), "wrong password", address()))
    assert limit == "login-all"


def test_a_token_comes_back_with_the_right_password(narrow):
    service, database = narrow
    forget(database)
    auth, client = Auth(service), address()
    name = user(auth)
    for _ in range(12):
        assert login(auth, name, PASSWORD, client).status_code == 200


def test_the_word_of_a_stranger_moves_no_bucket(settings, folder, databases):
    database = databases.copy("auth")
    service = Service("auth_api", {**settings, **database.environment(), "TRUSTED_PROXIES": "",
                                   "LOGIN_ADDRESS_BURST": "5", "LOGIN_ADDRESS_PER_MINUTE": "1"},
                      folder).start()
    try:
        auth = Auth(service)
        for _ in range(5):
            assert login(auth, new_name(), "wrong password", address()).status_code == 401
        assert limits_of(login(auth, new_name(), "wrong password", address()))[0] == "login-address"
        assert database.query("SELECT name FROM auth.bucket ORDER BY 1") == [
            ("login",), ("login 127.0.0.1",)]
    finally:
        service.stop()


# ---- nobody is locked out by another's guesses ----

def test_guesses_of_a_stranger_shut_nobody_out(auth, database):
    name, home, attacker = user(auth), address(), address()
    session = login(auth, name, PASSWORD, home).json()
    for _ in range(5):
        assert login(auth, name, "wrong password", attacker).status_code == 401
    assert login(auth, name, "wrong password", attacker).status_code == 429
    database.execute("UPDATE auth.guess SET failures = 100, wait_until = now() + interval '1 hour'"
                     " WHERE NOT known AND failures = 5 AND wait_until > now()")
    assert login(auth, name, PASSWORD, address()).status_code == 429, "a device that is not known"
    assert login(auth, name, PASSWORD, home).status_code == 200, "the device that is known"
    renewed = auth.http.post("/auth/refresh", json={"refresh_token": session["refresh_token"]})
    assert renewed.status_code == 200, "the session that he has"
    # On his own device he waits for a minute at most.
    for _ in range(20):
        assert login(auth, name, "wrong password", home).status_code == 401
    for _ in range(8):
        limits_of(login(auth, name, PASSWORD, home))
        rewind(database, 61)
        assert login(auth, name, "wrong password", home).status_code == 401
    assert limits_of(login(auth, name, PASSWORD, home))[1] <= 60


# ---- at once, in two processes, and after kill -9 ----

def at_once(calls):
    with ThreadPoolExecutor(len(calls)) as pool:
        barrier = threading.Barrier(len(calls))

        def run(call):
            barrier.wait()
            return call()
        return list(pool.map(run, calls))


def test_a_hundred_at_once_on_five_tokens(auth, settings, folder):
    name, client = user(auth), address()
    second = Service("auth_api", settings, folder).start()
    try:
        pair = [auth, Auth(second)]
        calls = [lambda i=i: login(pair[i % 2], name, "wrong password", client).status_code
                 for i in range(100)]
        statuses = at_once(calls)
    finally:
        second.stop()
    assert statuses.count(401) == 5 and statuses.count(429) == 95, f"statuses: {statuses}"


def test_a_hundred_at_once_on_an_address_with_five_tokens(narrow):
    service, database = narrow
    forget(database)
    auth, client = Auth(service), address()
    statuses = at_once([lambda: login(auth, new_name(), "wrong password", client).status_code
                        for _ in range(100)])
    assert statuses.count(401) == 5 and statuses.count(429) == 95, f"statuses: {statuses}"


def test_nothing_is_forgotten_by_a_restart_or_kill_9(settings, folder, databases):
    database = databases.copy("auth")
    service = Service("auth_api", {**settings, **database.environment()}, folder).start()
    try:
        auth, client = Auth(service), address()
        name = user(auth)
        for _ in range(7):
            assert login(auth, name, "wrong password", client).status_code == 401
            rewind(database, 5)
        _, wait = limits_of(login(auth, name, PASSWORD, client)) if login(
            auth, name, "wrong password", client).status_code == 401 else (None, None)
        assert wait == 8
        service.kill()
        service.start()
        auth = Auth(service)
        assert limits_of(login(auth, name, PASSWORD, client))[1] <= 8
        rewind(database, 8)
        assert login(auth, name, "wrong password", client).status_code == 401
        assert 15 <= limits_of(login(auth, name, PASSWORD, client))[1] <= 16
        assert database.query("SELECT count(*) FROM auth.audit WHERE event = 'authn_login_fail'"
                              ) == [(9,)], "one event for each answer of 401"
    finally:
        service.stop()


@pytest.mark.parametrize("limit, free", [("login-account", 5), ("login-address", 20)])
def test_a_limit_holds_through_kill_9_in_mid_load(settings, folder, databases, limit, free):
    """Wrong passwords from all sides while the service is killed: no more are looked at than without a kill, and what
    was answered is counted."""
    database = databases.copy("auth")
    service = Service("auth_api", {**settings, **database.environment(),
                                   "LOGIN_ADDRESS_BURST": "20" if limit == "login-address" else "1000",
                                   "LOGIN_ADDRESS_PER_MINUTE": "1"}, folder).start()
    name, client = user(Auth(service)), address()
    answers, stopping, failures = [], threading.Event(), []

    def guess(number):
        with http_client(service) as http:
            while not stopping.is_set():
                try:
                    answer = http.post("/auth/login", headers={"X-Forwarded-For": client}, json={
                        "username": name if limit == "login-account" else new_name(),
                        "password": "wrong password"})
                except httpx.TransportError:
                    time.sleep(0.02)
                    continue
                if answer.status_code == 429 and limits_of(answer)[0] != limit:
                    failures.append(answer.text)
                answers.append(answer.status_code)

    began = time.monotonic()
    threads = [threading.Thread(target=guess, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        before = len(answers)
        wait_until(lambda: len(answers) > before, "somebody is answered")
        service.kill()
        service.start()
        # The first wait of a name is a second, and may be over; the later ones are not.
        database.execute("UPDATE auth.guess SET wait_until = now() + interval '1 hour' WHERE failures >= 5")
    wait_until(lambda: 429 in answers[-4:], "the limit is reached")
    stopping.set()
    for thread in threads:
        thread.join(20)
    assert not failures and set(answers) <= {401, 429, 503}, (failures, set(answers))
    free += int(time.monotonic() - began) if limit == "login-account" else 0
    assert 1 <= answers.count(401) <= free, f"expected at most {free} guesses, not {answers.count(401)}"
    counted, = database.query("SELECT sum(failures) FROM auth.guess")[0]
    assert answers.count(401) <= counted <= free
    told, = database.query("SELECT count(*) FROM auth.audit WHERE event = 'authn_login_fail'")[0]
    assert answers.count(401) <= told <= counted
    assert limits_of(login(Auth(service), name, PASSWORD, client))[0] == limit
    service.stop()


# ---- the trail ----

def test_the_name_of_nobody_is_not_kept(auth, database):
    name = new_name("maybe-a-password")
    assert login(auth, name, "wrong password", address()).status_code == 401
    (row,) = database.query("SELECT a::text FROM auth.audit AS a ORDER BY id DESC LIMIT 1")
    assert "unknown_user" in row[0] and name not in row[0]
    assert name not in str(database.query("SELECT g::text FROM auth.guess AS g"))


def test_a_flood_of_refusals_is_noted_once_a_second(narrow):
    service, database = narrow
    forget(database)
    auth, client = Auth(service), address()
    for _ in range(5):
        login(auth, new_name(), "wrong password", client)
    before, = database.query("SELECT count(*) FROM auth.audit")[0]
    began = time.monotonic()
    for _ in range(100):
        assert login(auth, new_name(), "wrong password", client).status_code == 429
    took = time.monotonic() - began
    after, = database.query("SELECT count(*) FROM auth.audit")[0]
    assert 1 <= after - before <= took + 2


def test_old_counters_are_forgotten(settings, folder, databases):
    database = databases.copy("auth")
    service = Service("auth_api", {**settings, **database.environment(), "FORGET_INTERVAL_S": "1"},
                      folder).start()
    auth, name = Auth(service), new_name()
    known, locked = user(auth), user(auth)
    assert_ok(login(auth, known, PASSWORD, address()))
    for _ in range(2):
        assert login(auth, locked, "wrong password", address()).status_code == 401
    database.execute("UPDATE auth.guess SET failures = 100 WHERE failures = 2")
    assert login(auth, name, "wrong password", address()).status_code == 401
    database.execute("UPDATE auth.guess SET used_at = now() - interval '25 hours'")
    database.execute("UPDATE auth.bucket SET full_at = now() - interval '1 second'")
    wait_until(lambda: database.query(
        "SELECT known, failures FROM auth.guess ORDER BY known") == [(False, 100), (True, 0)],
        "what is left is the name that is locked and the device that is known", 10)
    assert database.query("SELECT count(*) FROM auth.bucket") == [(0,)]
    service.stop()
