"""contract.md, "wallet_api, port 8002": accounts, deposit, withdraw and transfer."""

import json
import re
import uuid

import pytest

from support.api import (NOBODY, assert_invalid, assert_ok, assert_problem, new_key)

MONEY_CALLS = ("deposit", "withdraw", "transfer")


@pytest.fixture
def account(user):
    """An account of `user` with 100.00 RUB."""
    return user.account(funds="100.00")


def body_of(call, account, amount="1", key=None, destination=None):
    """A request body of any of the three money calls."""
    body = {"amount": amount, "idempotency_key": key or new_key()}
    if call == "transfer":
        body.update(from_account_id=account, to_account_id=destination)
    else:
        body.update(account_id=account)
    return body


@pytest.fixture
def send(user, account, other):
    """send(call, **changes): one of the money calls, right but for the changes."""
    destination = other.account()

    def send(call, without=None, **changes):
        body = body_of(call, account, destination=destination)
        body.update(changes)
        if without:
            del body[without]
        return user.money(call, body)

    return send


def assert_success(response, balance):
    body = assert_ok(response)
    assert (body.get("status"), body.get("new_balance")) == ("success", balance), (
        f"expected success and the new balance {balance} as a string in {body}")


# ---- GET /wallet/accounts ----

def test_accounts_of_a_new_user_are_an_empty_list(user):
    assert assert_ok(user.accounts()) == []


def test_accounts_lists_id_user_id_balance_currency(user):
    account = user.account(funds="12.30")
    listed, = assert_ok(user.accounts())
    expected = {"id": account, "user_id": user.id, "balance": "12.30", "currency": "RUB"}
    assert {name: listed.get(name) for name in expected} == expected


def test_accounts_lists_only_the_callers(user, other):
    mine, theirs = {user.account(), user.account()}, {other.account()}
    assert {row["id"] for row in assert_ok(user.accounts())} == mine
    assert {row["id"] for row in assert_ok(other.accounts())} == theirs


# ---- POST /wallet/accounts ----

@pytest.mark.parametrize("content", [None, b"", b"{}"], ids=["none", "empty", "object"])
def test_open_account_needs_no_body(user, content):
    headers = {"Content-Type": "application/json"} if content is not None else None
    body = assert_ok(user.http.post("/wallet/accounts", content=content, headers=headers), 201)
    assert str(uuid.UUID(body["id"])) == body["id"]
    assert body["user_id"] == user.id
    assert body["balance"] == "0.00", "expected a string with the currency's decimals"
    assert body["currency"] == "RUB"


@pytest.mark.parametrize(("currency", "balance"),
                         [("RUB", "0.00"), ("USD", "0.00"), ("JPY", "0"), ("BHD", "0.000")])
def test_open_account_in_a_currency(user, currency, balance):
    body = assert_ok(user.open(currency=currency), 201)
    assert (body["currency"], body["balance"]) == (currency, balance)


@pytest.mark.parametrize("currency", ["", "rub", "XYZ", "RU", "RUBLE", "RÜB", 643, None, ["RUB"]],
                         ids=["empty", "lower_case", "unknown", "short", "long", "umlaut",
                              "number", "null", "list"])
def test_open_account_in_no_currency_is_422(user, currency):
    assert_invalid(user.open(currency=currency), "currency")
    assert assert_ok(user.accounts()) == [], "expected no account to be opened"


def test_open_account_misspelt_member_is_refused(user):
    response = user.open(curency="USD")
    assert_problem(response, 422)
    assert assert_ok(user.accounts()) == []


def test_one_user_may_have_many_accounts(user):
    assert len({user.account() for _ in range(5)}) == 5


# ---- deposit ----

def test_deposit_answers_success_and_the_new_balance_as_a_string(user):
    account = user.account()
    assert_success(user.deposit(account, "100.00"), "100.00")
    assert assert_ok(user.deposit(account, "0.05"))["new_balance"] == "100.05"
    assert user.balance(account) == "100.05"


@pytest.mark.parametrize("who", ["nobodys", "someone_elses"])
def test_deposit_account_not_found_is_404(user, other, who):
    account = NOBODY if who == "nobodys" else other.account(funds="5")
    assert_problem(user.deposit(account, "1"), 404, "Account not found")
    if who == "someone_elses":
        assert other.balance(account) == "5.00", "expected nothing to move"


def test_deposit_404_does_not_tell_someone_elses_account_from_none(user, other):
    bodies = []
    for account in (NOBODY, other.account()):
        body = assert_problem(user.deposit(account, "1"), 404)
        body.pop("request_id", None)
        bodies.append(body)
    assert bodies[0] == bodies[1]


# ---- withdraw ----

def test_withdraw_answers_success_and_the_new_balance(user, account):
    assert_success(user.withdraw(account, "30.5"), "69.50")


def test_withdraw_all_of_it(user, account):
    assert assert_ok(user.withdraw(account, "100.00"))["new_balance"] == "0.00"


@pytest.mark.parametrize("amount", ["100.01", "1000", "99999999999999999999999999999"])
def test_withdraw_more_than_there_is_is_400(user, account, amount):
    assert_problem(user.withdraw(account, amount), 400, "Insufficient funds")
    assert user.balance(account) == "100.00", "expected nothing to move"


@pytest.mark.parametrize("who", ["nobodys", "someone_elses"])
def test_withdraw_account_not_found_is_404(user, other, who):
    account = NOBODY if who == "nobodys" else other.account(funds="5")
    assert_problem(user.withdraw(account, "1"), 404, "Account not found")
    if who == "someone_elses":
        assert other.balance(account) == "5.00", "expected nothing to move"


# ---- transfer ----

def test_transfer_answers_success_and_the_senders_new_balance(user, account, other):
    theirs = other.account(funds="7")
    assert_success(user.transfer(account, theirs, "40.25"), "59.75")
    assert other.balance(theirs) == "47.25"


def test_transfer_between_ones_own_accounts(user, account):
    second = user.account()
    assert assert_ok(user.transfer(account, second, "100"))["new_balance"] == "0.00"
    assert user.balance(second) == "100.00"


def test_transfer_from_someone_elses_account_is_403(user, other):
    mine, theirs = user.account(), other.account(funds="5")
    assert_problem(user.transfer(theirs, mine, "1"), 403)
    assert (user.balance(mine), other.balance(theirs)) == ("0.00", "5.00")


def test_transfer_from_a_missing_account_is_404(user, account):
    assert_problem(user.transfer(NOBODY, account, "1"), 404)


def test_transfer_to_a_missing_account_is_404(user, account):
    assert_problem(user.transfer(account, NOBODY, "1"), 404)
    assert user.balance(account) == "100.00", "expected nothing to move"


@pytest.mark.parametrize("amount", ["100.01", "5000"])
def test_transfer_more_than_there_is_is_400(user, other, account, amount):
    theirs = other.account()
    assert_problem(user.transfer(account, theirs, amount), 400, "Insufficient funds")
    assert (user.balance(account), other.balance(theirs)) == ("100.00", "0.00")


# ---- amounts ----

ACCEPTED = {
    "string_100.00": ('"100.00"', "100.00"), "string_100": ('"100"', "100.00"),
    "string_0.01": ('"0.01"', "0.01"), "string_1.5": ('"1.5"', "1.50"),
    "number_100": ("100", "100.00"), "number_100.5": ("100.5", "100.50"),
    "number_0.07": ("0.07", "0.07"), "number_1.10": ("1.10", "1.10"),
    "beyond_a_double": ('"9007199254740993.01"', "9007199254740993.01"),
    "number_beyond_a_double": ("9007199254740993.01", "9007199254740993.01"),
    "number_beyond_64_bits": ("18446744073709551617.99", "18446744073709551617.99"),
}


@pytest.mark.parametrize(("text", "balance"), ACCEPTED.values(), ids=ACCEPTED)
def test_amount_is_read_from_its_digits(user, text, balance):
    account = user.account()
    content = ('{"account_id":"%s","amount":%s,"idempotency_key":"%s"}'
               % (account, text, new_key())).encode()
    response = user.http.post("/wallet/deposit", content=content,
                              headers={"Content-Type": "application/json"})
    assert assert_ok(response)["new_balance"] == balance


def test_tenth_and_two_tenths_are_three_tenths(user):
    account = user.account()
    user.deposit(account, 0.1)
    assert assert_ok(user.deposit(account, 0.2))["new_balance"] == "0.30"


REFUSED = {
    "zero": '"0"', "zero_decimals": '"0.00"', "number_zero": "0", "number_zero_decimals": "0.0",
    "negative": '"-1"', "number_negative": "-1", "minus_zero": '"-0"', "number_minus_zero": "-0",
    "plus": '"+1"', "exponent": '"1e2"', "number_exponent": "1e2", "number_Exponent": "1E2",
    "number_negative_exponent": "100e-2", "empty": '""', "space": '" 1"', "space_after": '"1 "',
    "newline_after": '"1\\n"', "comma": '"1,5"', "thousands": '"1,000.00"', "two_points": '"1.0.0"',
    "bare_point": '"1."', "leading_point": '".5"', "leading_zero": '"01"', "hex": '"0x10"',
    "underscore": '"1_000"', "nan": '"NaN"', "infinity": '"Infinity"', "letters": '"ten"',
    "arabic_digits": '"\\u0661"', "fullwidth_digits": '"\\uff11"', "currency": '"1 RUB"',
    "null": "null", "true": "true", "list": "[1]", "object": '{"value":1}',
    "39_digits": '"%s"' % ("9" * 39), "number_39_digits": "9" * 39, "1000_digits": "1" * 1000,
    "three_decimals": '"1.005"', "number_three_decimals": "1.005", "three_decimals_zero": '"1.500"',
}


@pytest.mark.parametrize("call", MONEY_CALLS)
@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_amount_refused_with_422(user, account, call, text):
    destination = user.account()
    body = body_of(call, account, amount="@", destination=destination)
    content = json.dumps(body).replace('"@"', text).encode()
    response = user.http.post(f"/wallet/{call}", content=content,
                              headers={"Content-Type": "application/json"})
    assert_invalid(response, "amount")
    assert user.balance(account) == "100.00", "expected nothing to move"


@pytest.mark.parametrize("call", ["deposit", "withdraw"])
@pytest.mark.parametrize(("currency", "good", "bad"), [
    ("JPY", "5", "5.1"), ("JPY", "5", "5.0"), ("RUB", "5.01", "5.001"), ("BHD", "5.001", "5.0001")])
def test_amount_has_no_more_decimals_than_the_currency(user, call, currency, good, bad):
    account = user.account(currency=currency, funds="1000")
    before = user.balance(account)
    assert_invalid(user.money(call, body_of(call, account, bad)), "amount")
    assert user.balance(account) == before, "expected nothing to be rounded and moved"
    assert_ok(user.money(call, body_of(call, account, good)))


def test_a_balance_that_would_not_fit_is_422(user):
    """In a currency of its own: its settlement account has to take as much."""
    account = user.account(currency="XCD")
    most = "9" * 36
    assert_ok(user.deposit(account, most + ".99"))
    assert_invalid(user.deposit(account, "0.01"), "amount")
    assert user.balance(account) == most + ".99", "expected no wrap and no rounding"
    assert_ok(user.withdraw(account, most + ".99"))  # and the settlement account is back, too


# ---- idempotency_key ----

@pytest.mark.parametrize("call", MONEY_CALLS)
@pytest.mark.parametrize("make", [
    lambda: new_key()[-8:], lambda: (new_key() + "k" * 128)[:128], lambda: "0" + new_key(),
    lambda: "Z" + new_key() + "_.-", lambda: str(uuid.uuid4()),
], ids=["8_characters", "128_characters", "digit_first", "punctuation", "uuid"])
def test_idempotency_key_accepted(send, call, make):
    assert_ok(send(call, idempotency_key=make()))


BAD_KEYS = {
    "empty": "", "7_characters": "abcdefg", "129_characters": "k" * 129, "dash_first": "-bcdefgh",
    "dot_first": ".bcdefgh", "underscore_first": "_bcdefgh", "space": "abcd efgh",
    "newline_last": "abcdefgh\n", "slash": "abcd/efgh", "colon": "abcd:efgh",
    "cyrillic": "ключключ", "quote": "abcdefgh'", "number": 123456789, "null": None,
    "list": ["abcdefgh"],
}


@pytest.mark.parametrize("call", MONEY_CALLS)
@pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
def test_idempotency_key_refused_with_422(send, call, key):
    assert_invalid(send(call, idempotency_key=key), "idempotency_key")


@pytest.mark.parametrize("call", MONEY_CALLS)
def test_second_use_of_a_key_is_409_and_moves_nothing(user, account, call):
    destination = user.account()
    body = body_of(call, account, "10", destination=destination)
    first = assert_ok(user.money(call, body))
    problem = assert_problem(user.money(call, body), 409, "Transaction already processed")
    assert uuid.UUID(problem["transaction"])
    assert problem["same_request"] is True
    assert user.balance(account) == first["new_balance"]


# ---- missing and misspelt members ----

@pytest.mark.parametrize(("call", "member"), [
    ("deposit", "account_id"), ("deposit", "amount"), ("deposit", "idempotency_key"),
    ("withdraw", "account_id"), ("withdraw", "amount"), ("withdraw", "idempotency_key"),
    ("transfer", "from_account_id"), ("transfer", "to_account_id"), ("transfer", "amount"),
    ("transfer", "idempotency_key")])
def test_missing_member_is_422(send, call, member):
    assert_invalid(send(call, without=member), member)


@pytest.mark.parametrize("call", MONEY_CALLS)
def test_misspelt_member_is_422(send, call):
    assert_invalid(send(call, ammount="5"), "ammount")


@pytest.mark.parametrize(("call", "member"), [
    ("deposit", "account_id"), ("withdraw", "account_id"), ("transfer", "from_account_id"),
    ("transfer", "to_account_id")])
@pytest.mark.parametrize("value", ["", "1", 1, None, "not-a-uuid", NOBODY + "0", NOBODY[:-1],
                                   "{" + NOBODY + "}", NOBODY.replace("-", ""), NOBODY + "\n"],
                         ids=["empty", "digit", "number", "null", "text", "long", "short",
                              "braces", "no_dashes", "newline"])
def test_account_that_is_no_uuid_is_422(send, call, member, value):
    assert_invalid(send(call, **{member: value}), member)


def test_account_id_is_accepted_in_upper_case(user, account):
    assert_ok(user.deposit(account.upper(), "1"))


# ---- further types of answers ----

@pytest.mark.parametrize(("call", "status"), [("deposit", 404), ("withdraw", 404),
                                              ("transfer", 404)])
def test_failed_call_leaves_no_row_in_the_journal(user, other, wallet_database, call, status):
    key = new_key("refused")
    body = body_of(call, NOBODY, key=key, destination=other.account())
    assert_problem(user.money(call, body), status)
    rows = wallet_database.query(
        "SELECT count(*) FROM ledger.transaction WHERE idempotency_key = %s", (key,))
    assert rows == [(0,)]


def test_every_amount_in_answers_is_a_string(user, account):
    pattern = re.compile(r"^-?(0|[1-9][0-9]*)\.[0-9]{2}$")
    amounts = [assert_ok(user.deposit(account, 1))["new_balance"],
               assert_ok(user.accounts())[0]["balance"],
               *(row["amount"] for row in assert_ok(user.history(account)))]
    for amount in amounts:
        assert isinstance(amount, str) and pattern.match(amount), f"bad amount {amount!r}"
