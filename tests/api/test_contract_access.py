"""contract.md: every call of wallet_api with `Authorization: Bearer <token>`, and whose it is."""

import re
import time
import uuid

import pytest

from support import tokens
from support.api import (NOBODY, User, assert_ok, assert_problem, assert_unauthorized, http_client,
                         new_key)
from support.service import Service
from support.waiting import wait_until

CALLS = {
    "list_accounts": ("GET", "/wallet/accounts", None),
    "open_account": ("POST", "/wallet/accounts", {}),
    "account": ("GET", f"/wallet/accounts/{NOBODY}", None),
    "history": ("GET", f"/wallet/accounts/{NOBODY}/transactions", None),
    "transaction": ("GET", f"/wallet/transactions/{NOBODY}", None),
    "deposit": ("POST", "/wallet/deposit",
                {"account_id": NOBODY, "amount": "1", "idempotency_key": "access-1234"}),
    "withdraw": ("POST", "/wallet/withdraw",
                 {"account_id": NOBODY, "amount": "1", "idempotency_key": "access-1234"}),
    "transfer": ("POST", "/wallet/transfer",
                 {"from_account_id": NOBODY, "to_account_id": NOBODY[:-1] + "1", "amount": "1",
                  "idempotency_key": "access-1234"}),
    "batch": ("POST", "/wallet/batch", {"operations": []}),
}


@pytest.fixture(scope="module")
def bare(wallet_service):
    """A client without credentials."""
    with http_client(wallet_service) as client:
        yield client


def call(client, name, headers=None):
    method, path, body = CALLS[name]
    return client.request(method, path, json=body, headers=headers)


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


# ---- 401 ----

@pytest.mark.parametrize("name", CALLS)
def test_without_authorization_401_and_www_authenticate(bare, name):
    assert_unauthorized(call(bare, name))


@pytest.mark.parametrize("name", CALLS)
def test_with_a_wrong_token_401(bare, name):
    token = tokens.access_token(uuid.uuid4(), "another secret of more than 32 characters")
    assert_unauthorized(call(bare, name, bearer(token)))


@pytest.mark.parametrize("name", CALLS)
def test_401_comes_before_the_body_is_judged(bare, name):
    method, path, body = CALLS[name]
    if body is not None:
        response = bare.request(method, path, json={"nonsense": True})
        assert_unauthorized(response)


@pytest.mark.parametrize("value", ["Basic dXNlcjpwYXNzd29yZA==", "Bearer", "Bearer a b", "Bearer x",
                                   "Bearer a.b.c", "Token abc", "", "Bearer " + "a" * 5000,
                                   "Bearer a.b!c.d"],
                         ids=["basic", "no_token", "two_words", "no_jwt", "three_parts",
                              "other_scheme", "empty", "5000_characters", "no_base64url"])
def test_malformed_authorization_is_401_or_400(bare, value):
    response = call(bare, "list_accounts", {"Authorization": value})
    if response.status_code == 400:
        assert_problem(response, 400)
    else:
        assert_unauthorized(response)


def wrong_tokens(secret):
    now, who = int(time.time()), str(uuid.uuid4())
    good = {"sub": who, "exp": now + 3600}
    whole = tokens.encode(good, secret)
    head, claims, signature = whole.split(".")
    unsigned = tokens.encode(good, secret, {"alg": "none", "typ": "JWT"}).split(".")
    return {
        "alg_none": f"{unsigned[0]}.{unsigned[1]}.",
        "alg_none_signed": ".".join(unsigned),
        "alg_None": tokens.encode(good, secret, {"alg": "None", "typ": "JWT"}),
        "alg_hs512_in_name": tokens.encode(good, secret, {"alg": "HS512", "typ": "JWT"}),
        "alg_rs256": tokens.encode(good, secret, {"alg": "RS256", "typ": "JWT"}),
        "alg_missing": tokens.encode(good, secret, {"typ": "JWT"}),
        "alg_number": tokens.encode(good, secret, {"alg": 1, "typ": "JWT"}),
        "header_no_object": tokens.encode(good, secret, ["HS256"]),
        "crit": tokens.encode(good, secret, {"alg": "HS256", "typ": "JWT", "crit": ["b64"]}),
        "empty_key": tokens.encode(good, ""),
        "other_key": tokens.encode(good, secret[:-1] + "!"),
        "signature_cut": whole[:-2],
        "signature_missing": f"{head}.{claims}.",
        "signature_other": f"{head}.{claims}.{'A' * len(signature)}",
        "two_segments": f"{head}.{claims}",
        "four_segments": f"{whole}.{signature}",
        "padding": whole + "=",
        "plus_alphabet": whole[:-1] + "+",
        "junk_in_signature": f"{head}.{claims}.{signature[:5]}~{signature[5:]}",
        "claims_changed": f"{head}.{tokens.base64url(b'{}')}.{signature}",
        "claims_no_json": tokens.encode(b"nothing", secret),
        "claims_array": tokens.encode([who], secret),
        "sub_missing": tokens.encode({"exp": now + 3600}, secret),
        "sub_number": tokens.encode({"sub": 1, "exp": now + 3600}, secret),
        "sub_no_uuid": tokens.encode({"sub": "admin", "exp": now + 3600}, secret),
        "sub_empty": tokens.encode({"sub": "", "exp": now + 3600}, secret),
        "exp_missing": tokens.encode({"sub": who}, secret),
        "exp_past": tokens.encode({"sub": who, "exp": now - 120}, secret),
        "exp_zero": tokens.encode({"sub": who, "exp": 0}, secret),
        "exp_negative": tokens.encode({"sub": who, "exp": -1}, secret),
        "exp_string": tokens.encode({"sub": who, "exp": str(now + 3600)}, secret),
        "exp_null": tokens.encode({"sub": who, "exp": None}, secret),
        "exp_1e99": tokens.encode(b'{"sub":"%s","exp":1e99}' % who.encode(), secret),
        "nbf_future": tokens.encode({**good, "nbf": now + 600}, secret),
        "iat_future": tokens.encode({**good, "iat": now + 600}, secret),
        "nbf_string": tokens.encode({**good, "nbf": "now"}, secret),
        "8_kB": tokens.encode({**good, "pad": "x" * 8192}, secret),
    }


@pytest.mark.parametrize("attack", wrong_tokens("x" * 32))
def test_token_that_is_not_ours_is_401(bare, secret, attack):
    assert_unauthorized(call(bare, "list_accounts", bearer(wrong_tokens(secret)[attack])))


# ---- 200 ----

def test_token_with_sub_and_exp_alone_is_accepted(bare, secret):
    token = tokens.access_token(uuid.uuid4(), secret)
    assert assert_ok(call(bare, "list_accounts", bearer(token))) == []


def challenge_of(response):
    """RFC 6750, 3: a scheme and parameters, each a name and a quoted string of its characters."""
    scheme, _, rest = response.headers["www-authenticate"].partition(" ")
    assert scheme == "Bearer"
    parameters = {}
    for one in re.split(r", (?=[a-z_]+=)", rest):
        name, value = re.fullmatch(r'([a-z_]+)="([\x20-\x21\x23-\x5b\x5d-\x7e]*)"', one).groups()
        assert name not in parameters, f"expected {name} once: {rest}"
        parameters[name] = value
    assert parameters.pop("realm") == "wallet_api"
    return parameters


def test_the_challenge_says_what_is_wrong(bare, secret):
    def of(authorization, path="/wallet/accounts"):
        headers = {} if authorization is None else {"Authorization": authorization}
        response = bare.get(path, headers=headers)
        challenge = challenge_of(response)
        if "error" in challenge:
            assert challenge["error_description"] == response.json()["detail"]
        return response.status_code, challenge.get("error"), challenge.get("error_description"), (
            challenge.get("scope"))

    expired = tokens.encode({"sub": str(uuid.uuid4()), "exp": int(time.time()) - 1}, secret)
    user = tokens.access_token(uuid.uuid4(), secret)
    assert of(None) == (401, None, None, None), "without a token there is no error to tell"
    assert of("Bearer nonsense") == (401, "invalid_token", "The access token is not valid.", None)
    assert of(f"Bearer {expired}") == (401, "invalid_token", "The access token has expired.", None)
    status, error, description, _ = of("Bearer a b")
    assert (status, error) == (400, "invalid_request") and description
    status, error, description, scope = of(f"Bearer {user}", "/audit")
    assert (status, error, scope) == (403, "insufficient_scope", "auditor") and description


def test_scheme_is_accepted_in_any_case(bare, secret):
    token = tokens.access_token(uuid.uuid4(), secret)
    for scheme in ("bearer", "BEARER"):
        assert_ok(call(bare, "list_accounts", {"Authorization": f"{scheme} {token}"}))


def test_token_ends_when_it_says(bare, secret):
    """It was good before, and is remembered as such no longer than it is."""
    token = tokens.access_token(uuid.uuid4(), secret, lifetime_s=2)
    assert_ok(call(bare, "list_accounts", bearer(token)))
    wait_until(lambda: call(bare, "list_accounts", bearer(token)).status_code == 401,
               "the token is refused when its time is over", seconds=5)


def test_more_is_required_when_the_operator_says_so(wallet_settings, secret, folder):
    settings = {**wallet_settings, "JWT_ISSUER": "issuer.test", "JWT_AUDIENCE": "wallet.test"}
    service = Service("wallet_api", settings, folder).start()
    try:
        with http_client(service) as client:
            who = uuid.uuid4()
            asked = {"iss": "issuer.test", "aud": "wallet.test"}
            refused = [{}, {"iss": "issuer.test"}, {"aud": "wallet.test"},
                       {**asked, "iss": "issuer.test/"}, {**asked, "aud": "other.test"},
                       {**asked, "aud": ["other.test"]}, {**asked, "iss": ["issuer.test"]}]
            for claims in refused:
                token = tokens.access_token(who, secret, **claims)
                assert_unauthorized(call(client, "list_accounts", bearer(token)))
            for claims in (asked, {**asked, "aud": ["other.test", "wallet.test"]}):
                token = tokens.access_token(who, secret, **claims)
                assert_ok(call(client, "list_accounts", bearer(token)))
    finally:
        service.stop()


# ---- whose account: the wrong owner on every call ----

@pytest.mark.parametrize(("attempt", "status"), [
    ("account", 404), ("history", 403), ("deposit", 404), ("withdraw", 404),
    ("transfer_from", 403), ("transaction", 404)])
def test_wrong_owner(user, other, attempt, status):
    theirs, mine = other.account(funds="9"), user.account(funds="1")
    key = new_key()
    assert_ok(other.deposit(theirs, "1", key=key))
    transaction = assert_problem(other.deposit(theirs, "1", key=key), 409)["transaction"]
    response = {
        "account": lambda: user.http.get(f"/wallet/accounts/{theirs}"),
        "history": lambda: user.history(theirs),
        "deposit": lambda: user.deposit(theirs, "1"),
        "withdraw": lambda: user.withdraw(theirs, "1"),
        "transfer_from": lambda: user.transfer(theirs, mine, "1"),
        "transaction": lambda: user.http.get(f"/wallet/transactions/{transaction}"),
    }[attempt]()
    assert_problem(response, status)
    assert (other.balance(theirs), user.balance(mine)) == ("10.00", "1.00"), "nothing may move"


def test_token_decides_whose_not_the_body(user, other):
    theirs = other.account(funds="9")
    body = {"account_id": theirs, "amount": "1", "idempotency_key": new_key(), "user_id": other.id}
    response = user.money("withdraw", body)
    assert response.status_code in (404, 422), f"expected 404 or 422: {response.text}"
    assert other.balance(theirs) == "9.00"


def test_a_user_of_the_token_needs_no_row_anywhere(wallet_service, secret):
    """wallet_api knows users by their tokens alone."""
    somebody = User(wallet_service, secret)
    assert assert_ok(somebody.accounts()) == []
    assert somebody.account()
