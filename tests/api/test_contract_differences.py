"""contract.md, "Deliberate differences": each row that can be seen from outside."""

import uuid

import pytest

from support.api import (NOBODY, assert_invalid, assert_ok, assert_problem, assert_unauthorized,
                         http_client, new_key)


def test_balance_is_derived_from_a_double_entry_journal(user, other, wallet_database):
    mine, theirs = user.account(funds="10"), other.account()
    key = new_key()
    assert_ok(user.transfer(mine, theirs, "4.5", key=key))
    rows = wallet_database.query(
        "SELECT e.account_id::text, e.amount, e.balance_after FROM ledger.transaction t"
        " JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id"
        " WHERE t.idempotency_key = %s", (key,))
    assert {(account, int(amount)) for account, amount, _ in rows} == {(mine, 450), (theirs, -450)}
    assert sum(amount for _, amount, _ in rows) == 0, "expected debit and credit to be equal"
    for account, _, after in rows:
        total, = wallet_database.query(
            "SELECT sum(amount) FROM ledger.entry WHERE account_id = %s", (account,))[0]
        snapshot, = wallet_database.query(
            "SELECT posted FROM ledger.balance WHERE account_id = %s", (account,))[0]
        assert after == total == snapshot


def test_deposit_and_withdrawal_have_the_settlement_account_as_other_side(user, wallet_database):
    account = user.account()
    for call, sign in ((user.deposit, 1), (user.withdraw, -1)):
        key = new_key()
        assert_ok(call(account, "2.50", key=key))
        rows = wallet_database.query(
            "SELECT a.code, e.amount FROM ledger.transaction t"
            " JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id"
            " JOIN ledger.account a ON a.ledger_id = e.ledger_id AND a.id = e.account_id"
            " WHERE t.idempotency_key = %s AND a.class = 'asset'", (key,))
        assert [(code, int(amount)) for code, amount in rows] == [
            ("assets:settlement:RUB", 250 * sign)]


@pytest.mark.parametrize(("currency", "shown"), [("RUB", "5.00"), ("JPY", "5"), ("BHD", "5.000")])
def test_new_balance_is_a_string_with_the_currencys_decimals(user, currency, shown):
    account = user.account(currency=currency)
    assert assert_ok(user.deposit(account, 5))["new_balance"] == shown


def test_an_idempotency_key_is_unique_per_caller(user, other):
    """One user's key must not block or reveal another's."""
    key = new_key()
    assert_ok(user.deposit(user.account(), "1", key=key))
    assert_ok(other.deposit(other.account(), "2", key=key))


def test_409_names_the_original_transaction_and_whether_the_request_was_the_same(user):
    account, key = user.account(), new_key()
    assert_ok(user.deposit(account, "1", key=key))
    same = assert_problem(user.deposit(account, "1", key=key), 409, "Transaction already processed")
    changed = assert_problem(user.deposit(account, "2", key=key), 409,
                             "Transaction already processed")
    assert same["same_request"] is True
    assert changed["same_request"] is False
    assert same["transaction"] == changed["transaction"]
    shown = assert_ok(user.http.get(f"/wallet/transactions/{same['transaction']}"))
    assert uuid.UUID(shown["id"]) == uuid.UUID(same["transaction"])


@pytest.mark.parametrize("mine", ["RUB", "JPY"])
def test_transfer_between_different_currencies_is_422(user, other, mine):
    source = user.account(currency=mine, funds="100")
    destination = other.account(currency="USD")
    assert_invalid(user.transfer(source, destination, "10"), "to_account_id")
    assert other.balance(destination) == "0.00", "expected no money to be made"


def test_self_transfer_is_422(user):
    account = user.account(funds="5")
    assert_invalid(user.transfer(account, account, "1"), "to_account_id")
    assert_invalid(user.transfer(account, account.upper(), "1"), "to_account_id")
    assert user.balance(account) == "5.00"


def test_missing_authorization_is_401_with_www_authenticate_bearer(wallet_service):
    with http_client(wallet_service) as client:
        assert_unauthorized(client.get("/wallet/accounts"))


@pytest.mark.parametrize(("status", "send"), [
    (400, lambda user: user.withdraw(user.account(), "1")),
    (401, lambda user: user.http.get("/wallet/accounts",
                                     headers={"Authorization": "Bearer x.y.z"})),
    (403, lambda user: user.history(NOBODY)),
    (404, lambda user: user.deposit(NOBODY, "1")),
    (404, lambda user: user.http.get("/no/such/path")),
    (405, lambda user: user.http.delete("/wallet/accounts")),
    (409, lambda user: [user.deposit(account, "1", key="same-key-1")
                        for account in [user.account()] * 2][-1]),
    (415, lambda user: user.http.post("/wallet/deposit", content=b"a=b", headers={
        "Content-Type": "application/x-www-form-urlencoded"})),
    (422, lambda user: user.deposit("x", "1")),
], ids=["400", "401", "403", "404", "404_path", "405", "409", "415", "422"])
def test_errors_are_problem_details(user, status, send):
    assert_problem(send(user), status)


def test_422_has_errors_and_names_the_field_in_the_detail(user):
    body = assert_problem(user.money("deposit", {"account_id": NOBODY, "amount": "x",
                                                 "idempotency_key": new_key()}), 422)
    assert [error["field"] for error in body["errors"]] == ["amount"]
    assert "amount" in body["detail"]


@pytest.mark.parametrize(("currency", "amount"), [("RUB", "1.001"), ("RUB", "1.000"),
                                                  ("JPY", "1.5"), ("BHD", "1.0001")])
def test_more_decimals_than_the_currency_has_are_422(user, currency, amount):
    account = user.account(currency=currency)
    assert_invalid(user.deposit(account, amount), "amount")
    assert not assert_ok(user.history(account)), "expected nothing to be rounded and posted"
