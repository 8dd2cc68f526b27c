"""Sessions: refresh tokens that work once, their families, and what ends them."""

import base64
import hashlib
import json
import re
import socket
import threading
import time

import pytest

from support import tokens
from support.api import (Auth, assert_invalid, assert_ok, assert_problem, assert_unauthorized,
                         http_client, new_name)
from support.load import together
from support.service import Service

PASSWORD = "correct horse battery"
UNKNOWN = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()


class Session:
    """What one login gave."""

    def __init__(self, auth, pair):
        self.auth = auth
        self.take(pair)

    def take(self, pair):
        self.pair = pair
        self.bearer = {"Authorization": f"Bearer {pair['access_token']}"}
        self.id = pair["session_id"]
        self.refresh_token = pair["refresh_token"]

    def call(self, method, path, **more):
        return self.auth.http.request(method, path, headers=self.bearer, **more)


def refresh(auth, token):
    return auth.http.post("/auth/refresh", json={"refresh_token": token})


class Person:
    def __init__(self, auth):
        self.auth = auth
        self.name = new_name()
        self.id = assert_ok(auth.register(self.name, PASSWORD))["id"]

    def login(self, password=PASSWORD, agent="test"):
        response = self.auth.http.post("/auth/login", headers={"User-Agent": agent},
                                       json={"username": self.name, "password": password})
        return Session(self.auth, assert_ok(response))


@pytest.fixture
def person(auth):
    return Person(auth)


@pytest.fixture
def query(auth_database):
    """Queries on the database of the running auth_api, as superuser."""
    def run(text, parameters=()):
        with auth_database.connect() as connection:
            cursor = connection.execute(text, parameters)
            return cursor.fetchall() if cursor.description else None

    return run


def assert_no_grant(response):
    body = assert_unauthorized(response)
    assert body["type"] == "urn:pacioli:problem:invalid_grant", body
    return body


# ---- login and refresh ----


def test_a_login_opens_a_session(auth, person):
    pair = person.login().pair
    assert pair["token_type"] == "bearer"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", pair["refresh_token"])
    assert pair["expires_in"] == 3600
    assert 1209590 <= pair["refresh_expires_in"] <= 1209600
    claims = tokens.claims_of(pair["access_token"])
    assert claims["sid"] == pair["session_id"]
    assert claims["sub"] == person.id
    assert claims["exp"] - claims["iat"] == 3600


def test_a_refresh_gives_the_next_pair(auth, person):
    first = person.login().pair
    response = refresh(auth, first["refresh_token"])
    second = assert_ok(response)
    assert response.headers["cache-control"] == "no-store"
    assert second["session_id"] == first["session_id"]
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    third = assert_ok(refresh(auth, second["refresh_token"]))
    assert third["session_id"] == first["session_id"]


def test_only_digests_are_stored(auth, person, query):
    pair = person.login().pair
    secret = base64.urlsafe_b64decode(pair["refresh_token"] + "=")
    rows = query("SELECT hash FROM auth.refresh_token WHERE session_id = %s", (pair["session_id"],))
    assert rows == [(hashlib.sha256(secret).digest(),)]


def test_a_lost_answer_may_be_asked_for_again(auth, person):
    first = person.login().pair
    second = assert_ok(refresh(auth, first["refresh_token"]))
    again = assert_ok(refresh(auth, first["refresh_token"]))
    assert again["refresh_token"] == second["refresh_token"]
    assert again["session_id"] == first["session_id"]
    assert_ok(refresh(auth, again["refresh_token"]))


def test_an_old_token_ends_the_family(auth, person):
    """R1 -> R2 -> R3 -> R1, all within the grace: R2 was used, so R1 is no repetition."""
    first = person.login()
    second = assert_ok(refresh(auth, first.refresh_token))
    third = assert_ok(refresh(auth, second["refresh_token"]))
    assert_no_grant(refresh(auth, first.refresh_token))
    assert_no_grant(refresh(auth, third["refresh_token"]))
    assert_no_grant(refresh(auth, second["refresh_token"]))
    response = auth.http.get("/users/me",
                             headers={"Authorization": f"Bearer {third['access_token']}"})
    assert_unauthorized(response)


def test_the_parent_after_the_grace_ends_the_family(auth, person, query):
    first = person.login()
    second = assert_ok(refresh(auth, first.refresh_token))
    query("UPDATE auth.refresh_token SET used_at = used_at - interval '10 seconds'"
          " WHERE session_id = %s AND used_at IS NOT NULL", (first.id,))
    assert_no_grant(refresh(auth, first.refresh_token))
    assert_no_grant(refresh(auth, second["refresh_token"]))


def test_the_parent_within_the_grace_is_answered(auth, person, query):
    first = person.login()
    second = assert_ok(refresh(auth, first.refresh_token))
    query("UPDATE auth.refresh_token SET used_at = used_at - interval '8 seconds'"
          " WHERE session_id = %s AND used_at IS NOT NULL", (first.id,))
    assert assert_ok(refresh(auth, first.refresh_token))["refresh_token"] == second["refresh_token"]


def test_without_a_grace_nothing_is_repeated(auth_settings, folder):
    service = Service("auth_api", {**auth_settings, "REFRESH_GRACE_S": "0"}, folder).start()
    auth = Auth(service)
    first = Person(auth).login()
    second = assert_ok(refresh(auth, first.refresh_token))
    assert_no_grant(refresh(auth, first.refresh_token))
    assert_no_grant(refresh(auth, second["refresh_token"]))
    service.stop()


def test_64_refreshes_at_once_give_one_successor(auth, person):
    token = person.login().refresh_token
    clients = [http_client(auth.service) for _ in range(64)]
    answers = together(64, lambda number: clients[number].post(
        "/auth/refresh", json={"refresh_token": token}))
    for client in clients:
        client.close()
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["refresh_token"] for answer in answers}) == 1
    assert_ok(refresh(auth, answers[0].json()["refresh_token"]))


def test_all_refusals_are_the_same(auth, person, query):
    ended, expired, reused = person.login(), person.login(), person.login()
    assert ended.call("POST", "/auth/logout").status_code == 204
    query("UPDATE auth.session SET idle_ends_at = now() WHERE id = %s", (expired.id,))
    second = assert_ok(refresh(auth, reused.refresh_token))
    assert_ok(refresh(auth, second["refresh_token"]))
    answers = [refresh(auth, token) for token in (
        UNKNOWN, "short", ended.refresh_token, expired.refresh_token, reused.refresh_token,
        UNKNOWN[:-1] + "B", UNKNOWN + "A", "\U0001f600" * 11, "x" * 4000)]
    bodies = set()
    for answer in answers:
        body = assert_no_grant(answer)
        body.pop("request_id", None)
        bodies.add(json.dumps(body))
    assert len(bodies) == 1
    heads = {json.dumps(sorted((name, value) for name, value in answer.headers.items()
                               if name not in ("date", "x-request-id"))) for answer in answers}
    assert len(heads) == 1


@pytest.mark.parametrize("body", [{}, {"refresh_token": None}, {"refresh_token": 1},
                                  {"refresh_token": ["a"]}, {"refresh_token": {}}])
def test_a_refresh_without_a_token(auth, body):
    assert_invalid(auth.http.post("/auth/refresh", json=body), "refresh_token")


# ---- the ends of a session ----


@pytest.mark.parametrize("column", ["idle_ends_at", "ends_at"])
def test_a_session_ends_by_itself(auth, person, query, column):
    early, late = person.login(), person.login()
    # A refresh moves the idle end; the total one stays where it is.
    change = f"UPDATE auth.session SET {column} = now() + %s::interval"
    change += ", idle_ends_at = ends_at - (ends_at - now()) + %s::interval WHERE id = %s"
    if column == "idle_ends_at":
        change = "UPDATE auth.session SET idle_ends_at = now() + coalesce(%s, %s)::interval" \
                 " WHERE id = %s"
    query(change, ("1 second", "1 second", early.id))
    query(change, ("-1 second", "-1 second", late.id))
    assert_ok(refresh(auth, early.refresh_token))
    assert_no_grant(refresh(auth, late.refresh_token))


def test_a_refresh_does_not_outlive_the_session(auth, person, query):
    session = person.login()
    query("UPDATE auth.session SET ends_at = now() + interval '100 seconds' WHERE id = %s",
          (session.id,))
    pair = assert_ok(refresh(auth, session.refresh_token))
    assert 97 <= pair["expires_in"] <= 100
    assert 97 <= pair["refresh_expires_in"] <= 100
    claims = tokens.claims_of(pair["access_token"])
    assert claims["exp"] - claims["iat"] == pair["expires_in"]


def test_logout(auth, person):
    session, other = person.login(), person.login()
    assert session.call("POST", "/auth/logout").status_code == 204
    for method, path in (("GET", "/users/me"), ("GET", "/auth/sessions"), ("POST", "/auth/logout"),
                         ("DELETE", f"/auth/sessions/{other.id}")):
        response = session.call(method, path)
        assert_unauthorized(response)
        assert 'error="invalid_token"' in response.headers["www-authenticate"]
    assert_no_grant(refresh(auth, session.refresh_token))
    assert other.call("GET", "/users/me").status_code == 200


def test_a_204_has_no_content_and_no_length(auth, person):
    """RFC 9110, 8.6 and 15.3.5; and the connection goes on behind it."""
    session, other = person.login(), person.login()
    head = (f"Host: auth\r\nAuthorization: {session.bearer['Authorization']}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", auth.service.port), timeout=10) as connection:
        connection.sendall((f"DELETE /auth/sessions/{other.id} HTTP/1.1\r\n{head}"
                            f"GET /users/me HTTP/1.1\r\nConnection: close\r\n{head}").encode())
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    first, _, rest = answer.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 204 "), first
    names = {line.partition(b":")[0].lower() for line in first.split(b"\r\n")[1:]}
    assert not names & {b"content-length", b"transfer-encoding", b"content-type"}, first
    assert b"close" not in first
    assert rest.startswith(b"HTTP/1.1 200 "), "expected the next answer at once, and no body"


def test_sessions_are_listed(person):
    first = person.login(agent="browser \u00e9\u00e8".encode("latin-1"))
    second = person.login(agent="x" * 400)
    listed = assert_ok(second.call("GET", "/auth/sessions"))
    assert [one["id"] for one in listed] == [second.id, first.id]
    assert [one["current"] for one in listed] == [True, False]
    assert listed[0]["agent"] == "x" * 256
    assert listed[1]["agent"] == "browser ??"
    for one in listed:
        assert one["address"] == "127.0.0.1"
        assert one["created_at"] == one["last_used_at"] < one["expires_at"]


def test_a_session_is_ended(auth, person):
    session, other, stranger = person.login(), person.login(), Person(auth).login()
    missing = session.call("DELETE", f"/auth/sessions/{session.id[:-4]}0000")
    foreign = stranger.call("DELETE", f"/auth/sessions/{session.id}")
    assert_problem(missing, 404)
    bodies = []
    for response in (missing, foreign):
        body = assert_problem(response, 404)
        body.pop("request_id", None)
        bodies.append(body)
    assert bodies[0] == bodies[1]
    assert_problem(session.call("DELETE", "/auth/sessions/nonsense"), 404)
    assert session.call("DELETE", f"/auth/sessions/{other.id}").status_code == 204
    assert_problem(session.call("DELETE", f"/auth/sessions/{other.id}"), 404)
    assert_unauthorized(other.call("GET", "/users/me"))
    assert_no_grant(refresh(auth, other.refresh_token))
    assert session.call("GET", "/users/me").status_code == 200


def test_the_oldest_session_makes_room(auth, person):
    sessions = [person.login() for _ in range(11)]
    assert_unauthorized(sessions[0].call("GET", "/users/me"))
    assert_no_grant(refresh(auth, sessions[0].refresh_token))
    listed = assert_ok(sessions[-1].call("GET", "/auth/sessions"))
    assert [one["id"] for one in listed] == [one.id for one in reversed(sessions[1:])]


def test_logins_at_once_keep_the_cap(auth, person):
    together(16, lambda _: person.login())
    listed = assert_ok(person.login().call("GET", "/auth/sessions"))
    assert len(listed) == 10


# ---- the user ----


def test_who_am_i(person):
    body = assert_ok(person.login().call("GET", "/users/me"))
    assert body.pop("created_at")
    assert body == {"id": person.id, "username": person.name, "roles": ["user"]}


def change_password(session, current, new):
    return session.call("POST", "/auth/password",
                        json={"current_password": current, "new_password": new})


def test_a_password_change(auth, person):
    session, other = person.login(), person.login()
    assert change_password(session, PASSWORD, "another horse battery").status_code == 204
    assert session.call("GET", "/users/me").status_code == 200
    assert_ok(refresh(auth, session.refresh_token))
    assert_unauthorized(other.call("GET", "/users/me"))
    assert_no_grant(refresh(auth, other.refresh_token))
    assert_problem(auth.login(person.name, PASSWORD), 401, "Invalid credentials")
    assert_ok(auth.login(person.name, "another horse battery"))


def test_a_wrong_current_password(auth, person):
    session, other = person.login(), person.login()
    wrong = change_password(session, "incorrect horse", "another horse battery")
    login = auth.login(person.name, "incorrect horse")
    bodies = []
    for response in (wrong, login):
        body = assert_problem(response, 401, "Invalid credentials")
        body.pop("request_id", None)
        bodies.append((body, response.headers["www-authenticate"]))
    assert bodies[0] == bodies[1]
    assert other.call("GET", "/users/me").status_code == 200
    assert_ok(auth.login(person.name, PASSWORD))


@pytest.mark.parametrize("current, new, field", [
    (None, "another horse", "current_password"), (PASSWORD, None, "new_password"),
    (PASSWORD, "short", "new_password"), (PASSWORD, 12345678, "new_password")])
def test_a_password_change_that_makes_no_sense(person, current, new, field):
    body = {"current_password": current, "new_password": new}
    body = {name: value for name, value in body.items() if value is not None}
    assert_invalid(person.login().call("POST", "/auth/password", json=body), field)


def test_password_changes_at_once(auth, person):
    """Each knows the old password; one of them is first, and nobody else's holds."""
    sessions = [person.login() for _ in range(8)]
    clients = [Auth(auth.service) for _ in sessions]
    answers = together(8, lambda n: clients[n].http.post(
        "/auth/password", headers=sessions[n].bearer,
        json={"current_password": PASSWORD, "new_password": f"new password {n}"}))
    for client in clients:
        client.http.close()
    good = [n for n, answer in enumerate(answers) if answer.status_code == 204]
    assert len(good) == 1 and {answer.status_code for answer in answers} == {204, 401}
    assert_ok(auth.login(person.name, f"new password {good[0]}"))


@pytest.mark.parametrize("change", ["roles = '{user,operator}'", "disabled_at = now()"])
def test_a_change_of_the_user_ends_his_sessions(auth, person, query, change):
    session = person.login()
    query(f"UPDATE auth.users SET {change} WHERE id = %s", (person.id,))
    assert_unauthorized(session.call("GET", "/users/me"))
    assert_no_grant(refresh(auth, session.refresh_token))


# ---- kill -9 ----


def test_families_survive_kill_9(auth_settings, folder):
    """Under refreshing clients: whoever was answered goes on, whoever was not asks again, and what
    was used stays used."""
    service = Service("auth_api", auth_settings, folder).start()
    persons = [Person(Auth(service)) for _ in range(4)]
    sessions = [person.login() for person in persons]
    used = [[] for _ in sessions]
    stopping = threading.Event()

    def run(number):
        with http_client(service) as client:
            while not stopping.is_set():
                token = sessions[number].refresh_token
                try:
                    answer = client.post("/auth/refresh", json={"refresh_token": token})
                except Exception:
                    time.sleep(0.05)
                    continue
                if answer.status_code == 503:
                    continue
                assert answer.status_code == 200, answer.text
                used[number].append(token)
                sessions[number].take(answer.json())

    failures = []

    def guarded(number):
        try:
            run(number)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(3):
        time.sleep(0.5)
        service.kill()
        service.start()
    time.sleep(0.3)
    stopping.set()
    for thread in threads:
        thread.join(30)
    assert not failures, failures
    again = Auth(service)
    for number, session in enumerate(sessions):
        assert len(used[number]) > 3
        assert_ok(refresh(again, session.refresh_token))
        assert_no_grant(refresh(again, used[number][0]))
        assert_no_grant(refresh(again, session.refresh_token))
    service.stop()
