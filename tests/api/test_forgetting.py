"""What is over is not kept for ever; what a token could still need is."""

import base64
import secrets

import pytest

from support.api import Auth, assert_ok, assert_unauthorized, new_name
from support.service import Service
from support.waiting import wait_until

PASSWORD = "correct horse battery"
KEPT_S = 3600


@pytest.fixture(scope="module")
def database(databases):
    return databases.copy("auth")


@pytest.fixture(scope="module")
def auth(database, auth_settings, folder):
    """Two processes on one database look every second."""
    services = [Service("auth_api", {**auth_settings, **database.environment(),
                                     "FORGET_INTERVAL_S": "1", "SESSION_KEPT_S": str(KEPT_S)},
                        folder / f"forgetting-{number}").start() for number in range(2)]
    yield Auth(services[0])
    for service in services:
        service.stop()


def login(auth):
    name = new_name()
    assert_ok(auth.register(name, PASSWORD))
    return assert_ok(auth.login(name, PASSWORD))


def refresh(auth, token):
    return auth.http.post("/auth/refresh", json={"refresh_token": token})


def call(auth, pair, method="GET", path="/users/me"):
    return auth.http.request(method, path,
                             headers={"Authorization": f"Bearer {pair['access_token']}"})


def age(database, pair, seconds):
    """As if all that happened to the session had happened so long ago."""
    database.execute(
        "UPDATE auth.session SET ended_at = ended_at - i, access_until = access_until - i,"
        " idle_ends_at = idle_ends_at - i, ends_at = ends_at - i"
        " FROM (SELECT %s * interval '1 second' AS i) AS x WHERE id = %s",
        (seconds, pair["session_id"]))


def rows(database, table, pair):
    column = {"session": "id", "refresh_token": "session_id", "revocation": "subject"}[table]
    return database.query(f"SELECT count(*) FROM auth.{table} WHERE {column} = %s",
                          (pair["session_id"],))[0][0]


def events(database, pair):
    return [event for event, in database.query(
        "SELECT event FROM auth.audit WHERE subject = %s ORDER BY id", (pair["session_id"],))]


def gone(database, pair):
    wait_until(lambda: rows(database, "session", pair) == 0, "the session is forgotten", 10)


def test_a_session_that_ended_is_forgotten_after_a_while(auth, database):
    young, old = login(auth), login(auth)
    for pair in (young, old):
        assert call(auth, pair, "POST", "/auth/logout").status_code == 204
    age(database, young, KEPT_S - 600)
    age(database, old, KEPT_S + 7200)
    gone(database, old)
    assert rows(database, "refresh_token", old) == 0
    assert (rows(database, "session", young), rows(database, "refresh_token", young)) == (1, 1)
    for pair in (young, old):
        assert_unauthorized(refresh(auth, pair["refresh_token"]))
    assert events(database, young)[-1] == "session_use_after_expire", "it is still known"
    assert "session_use_after_expire" not in events(database, old), "it is not"


def test_a_session_that_nobody_refreshed_is_ended_and_told_once(auth, database):
    pair = login(auth)
    age(database, pair, 15 * 86400)
    wait_until(lambda: "session_expired" in events(database, pair), "it is told", 10)
    assert_unauthorized(refresh(auth, pair["refresh_token"]))
    gone(database, pair)
    assert events(database, pair).count("session_expired") == 1


def test_an_open_session_keeps_its_oldest_token(auth, database):
    """Refreshed for 29 days, its first token is still one whose use tells of a theft."""
    pair = login(auth)
    first, last = pair["refresh_token"], pair["refresh_token"]
    for _ in range(4):
        last = assert_ok(refresh(auth, last))["refresh_token"]
    database.execute("UPDATE auth.refresh_token SET used_at = used_at - interval '29 days'"
                     " WHERE session_id = %s AND used_at IS NOT NULL", (pair["session_id"],))
    other = login(auth)
    assert call(auth, other, "POST", "/auth/logout").status_code == 204
    age(database, other, KEPT_S + 7200)
    gone(database, other)  # somebody looked
    assert rows(database, "refresh_token", pair) == 5
    assert_unauthorized(refresh(auth, first))
    assert_unauthorized(refresh(auth, last))
    assert "authn_token_reuse" in events(database, pair)


def test_what_refuses_a_token_stays_as_long_as_the_token(auth, database):
    pair = login(auth)
    assert call(auth, pair, "POST", "/auth/logout").status_code == 204
    # It ended long ago, says the row; its access token is good for the better part of an hour.
    database.execute("UPDATE auth.session SET ended_at = ended_at - interval '90 days' WHERE id = %s",
                     (pair["session_id"],))
    other = login(auth)
    assert call(auth, other, "POST", "/auth/logout").status_code == 204
    age(database, other, KEPT_S + 7200)
    gone(database, other)
    assert (rows(database, "session", pair), rows(database, "revocation", pair)) == (1, 1)
    assert_unauthorized(call(auth, pair))
    database.execute("UPDATE auth.revocation SET expires_at = now() - interval '2 hours'")
    wait_until(lambda: rows(database, "revocation", pair) == 0, "the revocation is forgotten", 10)


def test_many_go_quickly_and_each_is_told_once(auth, database):
    pair = login(auth)
    mark = base64.b16encode(secrets.token_bytes(8)).decode()
    database.execute(
        "INSERT INTO auth.session (id, user_id, created_at, last_used_at, idle_ends_at, ends_at,"
        " access_until, address, agent)"
        " SELECT gen_random_uuid(), user_id, t, t, t, t, t, '', %s FROM auth.session,"
        " (SELECT now() - interval '1 year' AS t, generate_series(1, 5000)) AS x WHERE id = %s",
        (mark, pair["session_id"]))
    wait_until(lambda: database.query("SELECT count(*) FROM auth.session WHERE agent = %s",
                                      (mark,)) == [(0,)], "all are forgotten", 20)
    assert database.query(
        "SELECT count(*), count(DISTINCT subject) FROM auth.audit WHERE event = 'session_expired'"
        " AND detail ->> 'user' = (SELECT user_id::text FROM auth.session WHERE id = %s)",
        (pair["session_id"],)) == [(5000, 5000)]
    assert_ok(refresh(auth, pair["refresh_token"]))
