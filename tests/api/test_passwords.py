"""What a password may be, how it is kept, and that it is kept better at the next login."""

import base64
import secrets
import time

import pytest

from support.api import Auth, assert_ok, http_client, new_name
from support.service import Service
from support.settings import BUILD

PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def database(databases):
    return databases.copy("auth")


@pytest.fixture(scope="module")
def settings(auth_settings, database):
    return {**auth_settings, **database.environment()}


def stored(database, name):
    return database.query("SELECT password_hash FROM auth.users WHERE username = %s", (name,))[0][0]


class Running:
    """An auth_api with other settings, for a moment."""

    def __init__(self, settings, folder, **more):
        self.service = Service("auth_api", {**settings, **more}, folder)

    def __enter__(self):
        self.service.start()
        return Auth(self.service)

    def __exit__(self, *_):
        self.service.stop()


# ---- the list of common ones ----

def test_common_passwords_are_refused_with_the_reason(auth):
    words = [line for line in (BUILD / "share" / "passwords" / "common.txt").read_text().split("\n")
             if line]
    assert len(words) >= 10_000
    for word in [*words[::1500], "password1", "iloveyou1", "12345678", "PASSWORD1", "Sunshine1"[:9]]:
        answer = auth.register(new_name(), word)
        if word.casefold() in words:
            assert answer.status_code == 422, f"{word!r} was taken"
            assert answer.json()["errors"] == [
                {"field": "password", "reason": "is one of the most common passwords"}]
    assert auth.register(new_name(), "password1").status_code == 422


def test_the_three_thousand_most_common_are_all_refused(auth):
    """Those that are long enough by the list; the others by their length."""
    frequency = pytest.importorskip("zxcvbn.frequency_lists").FREQUENCY_LISTS["passwords"][:3000]
    lines = set((BUILD / "share" / "passwords" / "common.txt").read_text().split("\n"))
    assert all(len(word) < 8 or word.casefold() in lines for word in frequency)


@pytest.mark.parametrize(("name", "password", "good"), [
    ("gerhard.klein", "gerhard.klein", False), ("gerhard.klein1", "Gerhard.Klein2026!", False),
    ("gerhard.klein2", "12-gerhard.klein-34", False), ("gerhard.klein3", "gerhard kleine katze", True),
    ("anna-1", "wallet2026!", False), ("anna-2", "!!Pacioli!!", False),
    ("anna-3", "walletless tortoise", True)])
def test_words_of_the_context_are_refused(auth, name, password, good):
    assert auth.register(name, password).status_code == (200 if good else 422)


def test_logging_in_does_not_ask_the_list(auth, auth_settings, databases, auth_service):
    assert auth.login(new_name(), "password1").status_code == 401


def test_a_list_that_cannot_be_read_stops_the_start(settings, folder, tmp_path):
    unsorted = tmp_path / "list.txt"
    unsorted.write_text("b\na\n")
    for path in (unsorted, tmp_path / "missing"):
        service = Service("auth_api", {**settings, "PASSWORD_BLOCKLIST": str(path)}, folder)
        with pytest.raises(AssertionError, match="PASSWORD_BLOCKLIST"):
            service.start()
    with Running(settings, folder, PASSWORD_BLOCKLIST="none") as auth:
        assert auth.register(new_name(), "password1").status_code == 200


# ---- characters ----

def test_a_letter_is_the_same_however_it_was_typed(auth):
    for first, second in (("caf\u00e9-passwort", "cafe\u0301-passwort"),
                          ("\ufb01nancial aid", "financial aid"), ("\uff50assen \uff50art", "passen part")):
        for one, other in ((first, second), (second, first)):
            name = new_name()
            assert_ok(auth.register(name, one))
            assert auth.login(name, other).status_code == 200, f"{one!r} and {other!r}"
            assert auth.login(name, other + "x").status_code == 401


def test_code_points_are_counted_after_nfkc(auth):
    assert auth.register(new_name(), "e\u0301" * 7).status_code == 422
    assert auth.register(new_name(), "e\u0301" * 8).status_code == 200
    assert auth.register(new_name(), "\U0001f600" * 128).status_code == 200
    assert auth.register(new_name(), "\ufb01" * 65).status_code == 422, "130 letters"


# ---- how they are kept ----

def test_a_weaker_hash_is_made_anew_at_the_next_login(settings, folder, database):
    name = new_name()
    with Running(settings, folder, BCRYPT_COST="4") as auth:
        assert_ok(auth.register(name, PASSWORD))
    assert stored(database, name).startswith("$2b$04$")
    with Running(settings, folder, BCRYPT_COST="6") as auth:
        assert auth.login(name, "wrong password").status_code == 401
        assert stored(database, name).startswith("$2b$04$")
        assert_ok(auth.login(name, PASSWORD))
        assert stored(database, name).startswith("$2b$06$")
        assert_ok(auth.login(name, PASSWORD))
    with Running(settings, folder, BCRYPT_COST="4") as auth:
        assert_ok(auth.login(name, PASSWORD))
    assert stored(database, name).startswith("$2b$06$"), "never weaker"
    with Running(settings, folder, PASSWORD_METHOD="yescrypt", YESCRYPT_COST="4") as auth:
        assert_ok(auth.login(name, PASSWORD))
        assert stored(database, name).startswith("v2$-$y$j8T$")
        assert_ok(auth.login(name, PASSWORD))
        assert auth.login(name, "wrong password").status_code == 401
    rows = database.query("SELECT detail FROM auth.audit WHERE detail ? 'rehashed'")
    assert len(rows) == 2


@pytest.mark.parametrize("value", ["garbage", "*0", "$2b$04$short", "abJnggxhB/yWI",
                                   "v2$gone$2b$04$" + "a" * 53])
def test_a_value_that_is_none_of_ours_matches_nothing(auth, auth_service, database, settings, folder,
                                                      value):
    with Running(settings, folder) as auth:
        name = new_name()
        assert_ok(auth.register(name, PASSWORD))
        database.execute("UPDATE auth.users SET password_hash = %s WHERE username = %s", (value, name))
        for password in (PASSWORD, value if len(value) >= 8 else value * 8, "garbagegarbage"):
            assert auth.login(name, password).status_code == 401
        assert stored(database, name) == value


def pepper_line(name):
    return f"{name} {base64.b64encode(secrets.token_bytes(32)).decode()}\n"


def test_peppers_are_taken_up_and_turned_over(settings, folder, database, tmp_path):
    path = tmp_path / "peppers"
    first, second = pepper_line("p1"), pepper_line("p2")
    name = new_name()
    with Running(settings, folder) as auth:
        assert_ok(auth.register(name, PASSWORD))
    path.write_text(first)
    path.chmod(0o400)
    with Running(settings, folder, PASSWORD_PEPPER_FILE=str(path)) as auth:
        assert_ok(auth.login(name, PASSWORD))
        assert stored(database, name).startswith("v2$p1$2b$04$")
        assert_ok(auth.login(name, PASSWORD))
    path.chmod(0o600)
    path.write_text(second + first)
    with Running(settings, folder, PASSWORD_PEPPER_FILE=str(path)) as auth:
        assert_ok(auth.login(name, PASSWORD))
        assert stored(database, name).startswith("v2$p2$2b$04$")
    with Running(settings, folder) as auth:
        assert auth.login(name, PASSWORD).status_code == 401, "without the pepper nothing opens"


def test_a_pepper_file_that_is_none_stops_the_start(settings, folder, tmp_path):
    path = tmp_path / "peppers"
    for text, mode in (("", 0o600), ("p1 short\n", 0o600), (pepper_line("p1"), 0o644)):
        path.write_text(text)
        path.chmod(mode)
        service = Service("auth_api", {**settings, "PASSWORD_PEPPER_FILE": str(path)}, folder)
        with pytest.raises(AssertionError, match="PASSWORD_PEPPER_FILE") as refused:
            service.start()
        assert not text or text.split()[-1] not in str(refused.value)


# ---- the current password is guessed like any other ----

def test_guesses_of_the_current_password_are_counted(settings, folder):
    with Running(settings, folder, LOGIN_KNOWN_FREE_FAILURES="3", LOGIN_FREE_FAILURES="3") as auth:
        name = new_name()
        assert_ok(auth.register(name, PASSWORD))
        pair = assert_ok(auth.login(name, PASSWORD))
        http = http_client(auth.service, headers={"Authorization": f"Bearer {pair['access_token']}"})

        def change(current, new):
            return http.post("/auth/password",
                             json={"current_password": current, "new_password": new}).status_code
        assert change(PASSWORD, "password1") == 422
        assert change(PASSWORD, f"{name}2026") == 422
        assert [change("wrong password", "another good one") for _ in range(4)] == [401] * 3 + [429]
        time.sleep(1.1)
        assert change(PASSWORD, "another good one") == 204
        assert auth.login(name, "another good one").status_code == 200
