"""attacks.txt names a test for every attack of the catalogue, and each of them is there."""

import re

from support.api import http_client, new_name
from support.settings import REPO

TESTS = REPO / "tests"
CATALOGUE = [f"A-{number}" for number in range(1, 31)]
PASSWORD = "correct horse battery"


def read():
    """{number: [tests]}"""
    attacks, number = {}, None
    for line in (TESTS / "api" / "attacks.txt").read_text().splitlines():
        if line.startswith("    "):
            attacks[number].append(line.strip())
        elif line and not line.startswith("#"):
            number, _, text = line.partition(" ")
            assert number not in attacks and text, line
            attacks[number] = []
    return attacks


def exists(test):
    file, _, name = test.partition("::")
    path = TESTS / file if file.startswith(("unit/", "db/")) else TESTS / "api" / file
    if not path.is_file():
        return False
    if not name:
        return path.suffix in (".py", ".sql") and not path.name.startswith("test_")
    form = rf"START_TEST\({name}\)" if path.suffix == ".c" else rf"^def {name}\("
    return re.search(form, path.read_text(), re.MULTILINE) is not None


def test_every_attack_has_its_tests():
    attacks = read()
    assert list(attacks) == CATALOGUE
    assert [number for number, tests in attacks.items() if not tests] == []
    missing = [test for tests in attacks.values() for test in tests if not exists(test)]
    assert missing == []


def test_a_test_that_is_gone_is_noticed():
    assert exists("test_attacks.py::test_every_attack_has_its_tests")
    for gone in ("test_attacks.py::test_every_attack", "test_nowhere.py::test_it", "nowhere.py",
                 "unit/test_password.c::nowhere", "db/auth/nowhere.sql", "test_attacks.py"):
        assert not exists(gone), gone


def test_no_answer_sets_a_cookie(auth_service, wallet_service):
    """So there is nothing that a browser would send along with the request of a foreign page."""
    name = new_name()
    body = {"username": name, "password": PASSWORD}
    with http_client(auth_service) as auth, http_client(wallet_service) as wallet:
        answers = [auth.post("/users/", json=body), auth.post("/auth/login", json=body)]
        pair = answers[-1].json()
        answers.append(auth.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]}))
        bearer = {"Authorization": f"Bearer {answers[-1].json()['access_token']}"}
        answers += [client.get(path, headers=bearer) for client, path in (
            (auth, "/users/me"), (auth, "/auth/sessions"), (auth, "/docs"), (wallet, "/docs"),
            (wallet, "/wallet/accounts"), (wallet, "/audit"))]
        foreign = {**bearer, "Origin": "https://evil.example", "Cookie": "session=x"}
        answers.append(wallet.post("/wallet/accounts", headers=foreign))
        answers.append(wallet.request("OPTIONS", "/wallet/accounts", headers={
            **foreign, "Access-Control-Request-Method": "POST"}))
        answers.append(auth.post("/auth/logout", headers=bearer))
    assert [answer.status_code for answer in answers] == [
        200, 200, 200, 200, 200, 200, 200, 200, 403, 201, 405, 204]
    for answer in answers:
        assert "set-cookie" not in answer.headers, answer.request.url
        assert not [one for one in answer.headers if one.startswith("access-control-")], (
            "expected no foreign page to be let in")
