"""contract.md, "auth_api, port 8001": every row, its limits and its answers."""

import re
import time
import uuid
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import tokens
from support.api import (Auth, User, assert_invalid, assert_ok, assert_problem, new_name)
from support.service import Service
from support.settings import scaled

PASSWORD = "correct horse"
BCRYPT = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}")


@pytest.fixture
def registered(auth):
    """(username, id) of a new user whose password is PASSWORD."""
    name = new_name()
    return name, assert_ok(auth.register(name, PASSWORD))["id"]


# ---- POST /users/ ----

def test_register_answers_200_with_id_and_username(auth):
    name = new_name()
    body = assert_ok(auth.register(name, PASSWORD))
    assert body["username"] == name
    assert str(uuid.UUID(body["id"])) == body["id"], "expected a uuid in its usual form"


def test_register_never_answers_with_the_password(auth):
    response = auth.register(new_name(), "rather-secret-password")
    assert "rather-secret-password" not in response.text
    assert "$2" not in response.text


def test_register_a_taken_name_is_400(auth, registered):
    response = auth.register(registered[0], "another password")
    assert_problem(response, 400, "User with this username already exists")


def test_register_a_taken_name_leaves_the_password_alone(auth, registered):
    auth.register(registered[0], "another password")
    assert_ok(auth.login(registered[0], PASSWORD))
    assert_problem(auth.login(registered[0], "another password"), 401)


def test_register_one_name_from_16_clients_makes_one_user(auth):
    name = new_name()
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: auth.register(name, f"passphrase {n:02}"), range(16)))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [400] * 15, f"expected one 200 and fifteen 400, got {statuses}"
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    assert_ok(auth.login(name, f"passphrase {winner:02}"))


def test_register_names_differ_by_case(auth):
    name = new_name("Case")
    first = assert_ok(auth.register(name, PASSWORD))
    second = assert_ok(auth.register(name.lower(), PASSWORD))
    assert first["id"] != second["id"]


@pytest.mark.parametrize("make", [
    lambda mark: mark[:3], lambda mark: (mark + "x" * 64)[:64], lambda mark: mark + "_.-",
    lambda mark: mark + "AZaz09", lambda mark: "-" + mark, lambda mark: "." + mark,
], ids=["3_characters", "64_characters", "punctuation", "letters_and_digits", "dash_first",
        "dot_first"])
def test_register_username_accepted(auth, make):
    name = make(uuid.uuid4().hex)
    response = auth.register(name, PASSWORD)
    if len(name) == 3 and response.status_code == 400:
        return  # three characters of chance may be taken; the name itself was accepted
    assert assert_ok(response)["username"] == name


BAD_NAMES = {
    "empty": "", "2_characters": "ab", "65_characters": "a" * 65, "space": "ab cd",
    "newline_last": "abcd\n", "slash": "ab/cd", "at": "ab@cd", "umlaut": "jürgen",
    "cyrillic": "иван", "fullwidth_digit": "ab１２", "quote": "ab'--", "percent": "ab%20",
    "number": 12345, "null": None, "list": ["abcd"], "object": {"a": "abcd"}, "boolean": True,
}


@pytest.mark.parametrize("call", ["register", "login"])
@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_username_refused_with_422(auth, call, name):
    assert_invalid(getattr(auth, call)(name, PASSWORD), "username")


@pytest.mark.parametrize("password", [
    "8 chars.", "x" * 128, "пароль12", "ж" * 128, "  spaces  ", "\"quoted\\\"", "🔑" * 8,
], ids=["8_characters", "128_characters", "cyrillic", "128_characters_256_bytes", "spaces",
        "quotes", "emoji"])
def test_register_password_accepted_and_verified(auth, password):
    name = new_name()
    assert_ok(auth.register(name, password))
    assert_ok(auth.login(name, password))
    changed = password[:-1] + "!"
    assert_problem(auth.login(name, changed), 401, "Invalid credentials")


BAD_PASSWORDS = {
    "empty": "", "7_characters": "1234567", "7_characters_14_bytes": "жжжжжжж",
    "129_characters": "x" * 129, "number": 12345678, "null": None, "list": ["12345678"],
    "boolean": False,
}


@pytest.mark.parametrize("call", ["register", "login"])
@pytest.mark.parametrize("password", BAD_PASSWORDS.values(), ids=BAD_PASSWORDS)
def test_password_refused_with_422(auth, call, password):
    assert_invalid(getattr(auth, call)(new_name(), password), "password")


@pytest.mark.parametrize("path", ["/users/", "/auth/login"])
@pytest.mark.parametrize("missing", ["username", "password"])
def test_missing_member_is_422(auth, path, missing):
    body = {"username": new_name(), "password": PASSWORD}
    del body[missing]
    assert_invalid(auth.http.post(path, json=body), missing)


@pytest.mark.parametrize("path", ["/users/", "/auth/login"])
def test_nul_in_the_password_is_refused(auth, path):
    response = auth.http.post(path, content=b'{"username":"abcdef","password":"1234\\u00005678"}',
                              headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422), f"expected 400 or 422: {response.text}"
    assert_problem(response, response.status_code)


@pytest.mark.parametrize("path", ["/users/", "/auth/login"])
@pytest.mark.parametrize("body", [b"", b"[]", b'"text"', b"null", b"{", b"{}{}"],
                         ids=["empty", "array", "string", "null", "cut", "two"])
def test_a_body_that_is_no_object_is_400_or_422(auth, path, body):
    response = auth.http.post(path, content=body, headers={"Content-Type": "application/json"})
    assert response.status_code in (400, 422), f"expected 400 or 422: {response.text}"
    assert_problem(response, response.status_code)


def test_422_names_every_wrong_field_or_the_first(auth):
    body = assert_problem(auth.register("a", "b"), 422)
    assert {error["field"] for error in body["errors"]} & {"username", "password"}


# ---- passwords ----

def test_password_is_kept_as_bcrypt(auth, registered, auth_database):
    stored, = auth_database.query("SELECT password_hash FROM auth.users WHERE username = %s",
                                  (registered[0],))[0]
    assert PASSWORD not in stored
    found = BCRYPT.search(stored)
    assert found, f"expected a bcrypt hash to be stored, got {stored!r}"
    assert found[1] == "04", "expected the cost that BCRYPT_COST gives"


def test_one_password_of_two_users_is_stored_differently(auth, auth_database):
    names = [new_name(), new_name()]
    for name in names:
        assert_ok(auth.register(name, PASSWORD))
    stored = auth_database.query("SELECT password_hash FROM auth.users WHERE username = ANY(%s)",
                                 (names,))
    assert len(set(stored)) == 2, "expected a salt of its own for each user"


@pytest.mark.parametrize("length", [72, 73, 100])
def test_no_part_of_a_long_password_is_enough(auth, length):
    """bcrypt looks at 72 bytes; verification must not."""
    name, password = new_name(), "a" * 72 + "b" * 56
    assert_ok(auth.register(name, password))
    assert_problem(auth.login(name, password[:length]), 401, "Invalid credentials")


def test_what_follows_72_bytes_counts(auth):
    name = new_name()
    assert_ok(auth.register(name, "a" * 72 + "one"))
    assert_problem(auth.login(name, "a" * 72 + "two"), 401, "Invalid credentials")
    assert_ok(auth.login(name, "a" * 72 + "one"))


def _crypt(setting):
    """The right hash of PASSWORD by another method of libxcrypt."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import crypt
    return crypt.crypt(PASSWORD, setting)


OTHER_FORMATS = {
    "plain": PASSWORD, "des": _crypt("ab"), "md5": _crypt("$1$saltsalt$"),
    "sha256": _crypt("$5$saltsalt$"), "sha512": _crypt("$6$saltsalt$"),
    "yescrypt": _crypt("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$"), "star": "*", "star_0": "*0",
    "cut": "$2b$04$", "short": "$2b$04$short", "cost_99": "$2b$99$" + "a" * 53, "newline": "\n",
}


@pytest.mark.parametrize("stored", OTHER_FORMATS.values(), ids=OTHER_FORMATS)
def test_a_stored_value_in_another_format_never_matches(auth, auth_database, registered, stored):
    auth_database.execute("UPDATE auth.users SET password_hash = %s WHERE username = %s",
                          (stored, registered[0]))
    assert_problem(auth.login(registered[0], PASSWORD), 401, "Invalid credentials")
    if stored.isprintable():
        assert_problem(auth.login(registered[0], stored.ljust(8)), 401, "Invalid credentials")


@pytest.mark.parametrize("prefix", ["$2b$", "$2a$", "$2y$"])
def test_a_bcrypt_hash_of_the_demo_still_opens(auth, auth_database, registered, prefix):
    auth_database.execute("UPDATE auth.users SET password_hash = %s WHERE username = %s",
                          (_crypt(prefix + "05$abcdefghijklmnopqrstuu"), registered[0]))
    assert_ok(auth.login(registered[0], PASSWORD))
    assert_problem(auth.login(registered[0], PASSWORD + "!"), 401, "Invalid credentials")


# ---- POST /auth/login ----

def test_login_answers_with_a_bearer_token(auth, registered):
    body = assert_ok(auth.login(registered[0], PASSWORD))
    assert body["token_type"] == "bearer"
    assert body["access_token"].count(".") == 2


def test_login_is_not_stored_by_caches(auth, registered):
    response = auth.login(registered[0], PASSWORD)
    assert response.headers.get("cache-control") == "no-store"


def test_token_names_the_user_and_ends_in_60_minutes(auth, registered):
    before = int(time.time())
    token = assert_ok(auth.login(registered[0], PASSWORD))["access_token"]
    after = int(time.time())
    claims = tokens.claims_of(token)
    assert claims["sub"] == registered[1]
    assert before + 3600 <= claims["exp"] <= after + 3600, "expected an hour by default"
    assert tokens.header_of(token)["alg"] == "HS256"


def test_token_is_signed_with_the_shared_secret(auth, registered, secret):
    token = assert_ok(auth.login(registered[0], PASSWORD))["access_token"]
    signed, _, signature = token.rpartition(".")
    assert signature == tokens.sign(signed, secret), "expected HMAC-SHA256 with JWT_SECRET"


def test_token_opens_the_wallet(auth, registered, wallet_service, secret):
    token = assert_ok(auth.login(registered[0], PASSWORD))["access_token"]
    caller = User(wallet_service, secret, token=token, user_id=registered[1])
    body = assert_ok(caller.open(), 201)
    assert body["user_id"] == registered[1]


def test_two_logins_both_work(auth, registered):
    first = assert_ok(auth.login(registered[0], PASSWORD))["access_token"]
    second = assert_ok(auth.login(registered[0], PASSWORD))["access_token"]
    assert tokens.claims_of(first)["sub"] == tokens.claims_of(second)["sub"]


def test_unknown_user_and_wrong_password_get_the_same_answer(auth, registered):
    answers = [auth.login(new_name("unknown"), PASSWORD), auth.login(registered[0], "not the one")]
    bodies = []
    for answer in answers:
        body = assert_problem(answer, 401, "Invalid credentials")
        body.pop("request_id", None)
        body.pop("instance", None)
        bodies.append(body)
    assert bodies[0] == bodies[1], "expected nothing to tell the two apart"
    names = [sorted(answer.headers.keys()) for answer in answers]
    assert names[0] == names[1], "expected the same headers"
    assert answers[0].headers["content-length"] == answers[1].headers["content-length"]


def test_full_password_queue_is_503_with_retry_after(auth_settings, folder):
    service = Service("auth_api", {**auth_settings, "BCRYPT_COST": "10"}, folder).start()
    try:
        auth = Auth(service)
        with ThreadPoolExecutor(160) as pool:
            answers = list(pool.map(lambda _: auth.login(new_name(), PASSWORD), range(160)))
        statuses = {answer.status_code for answer in answers}
        assert statuses <= {401, 503}, f"expected 401 and 503 only, got {statuses}"
        for answer in answers:
            if answer.status_code == 503:
                assert_problem(answer, 503)
                assert int(answer.headers["retry-after"]) >= 1
    finally:
        service.stop()


def test_access_token_expire_minutes_is_obeyed(auth_settings, folder):
    settings = {**auth_settings, "ACCESS_TOKEN_EXPIRE_MINUTES": "5"}
    service = Service("auth_api", settings, folder).start()
    try:
        auth = Auth(service)
        name = new_name()
        assert_ok(auth.register(name, PASSWORD))
        claims = tokens.claims_of(assert_ok(auth.login(name, PASSWORD))["access_token"])
        assert abs(claims["exp"] - time.time() - 300) <= scaled(5)
    finally:
        service.stop()
