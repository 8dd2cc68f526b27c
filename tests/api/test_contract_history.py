"""contract.md, `GET /wallet/accounts/{id}/transactions`, and the two reads beside the contract."""

import uuid
from datetime import datetime, timedelta, timezone

import pytest

from support.api import NOBODY, User, assert_invalid, assert_ok, assert_problem


@pytest.fixture
def busy(user, other):
    """An account with one row of each type: +100.00, -30.00, -20.00, +5.00."""
    account, theirs = user.account(funds="100"), other.account(funds="50")
    assert_ok(user.withdraw(account, "30"))
    assert_ok(user.transfer(account, theirs, "20"))
    assert_ok(other.transfer(theirs, account, "5"))
    return account


@pytest.fixture(scope="module")
def long_history(wallet_service, secret):
    """(user, account, amounts newest first) with 25 rows."""
    user = User(wallet_service, secret)
    account = user.account()
    for number in range(1, 26):
        assert_ok(user.deposit(account, f"{number}.00"))
    yield user, account, [f"{number}.00" for number in range(25, 0, -1)]
    user.http.close()


def amounts(response):
    return [row["amount"] for row in assert_ok(response)]


# ---- rows ----

def test_history_of_a_new_account_is_an_empty_list(user):
    assert assert_ok(user.history(user.account())) == []


def test_history_is_newest_first_and_signed_as_the_account_saw_it(user, busy):
    rows = assert_ok(user.history(busy))
    assert [(row["type"], row["amount"]) for row in rows] == [
        ("TRANSFER_IN", "5.00"), ("TRANSFER_OUT", "-20.00"), ("WITHDRAW", "-30.00"),
        ("DEPOSIT", "100.00")]


def test_history_row_has_id_account_id_amount_type_created_at(user, busy):
    for row in assert_ok(user.history(busy)):
        assert {"id", "account_id", "amount", "type", "created_at"} <= row.keys()
        assert row["account_id"] == busy
        assert row["id"], "expected an id"


def test_history_ids_differ(user, busy):
    ids = [row["id"] for row in assert_ok(user.history(busy))]
    assert len(set(ids)) == len(ids)


def test_history_created_at_is_rfc_3339_and_now(user, busy):
    times = []
    for row in assert_ok(user.history(busy)):
        created = datetime.fromisoformat(row["created_at"].replace("Z", "+00:00"))
        assert created.tzinfo is not None, f"expected a time zone in {row['created_at']}"
        assert abs(created - datetime.now(timezone.utc)) < timedelta(minutes=2)
        times.append(created)
    assert times == sorted(times, reverse=True)


def test_history_has_the_decimals_of_the_currency(user):
    for currency, shown in (("JPY", "7"), ("BHD", "7.000")):
        account = user.account(currency=currency, funds="7")
        assert amounts(user.history(account)) == [shown]


def test_both_sides_of_a_transfer_see_it(user, other):
    mine, theirs = user.account(funds="10"), other.account()
    user.transfer(mine, theirs, "4")
    assert assert_ok(user.history(mine))[0]["type"] == "TRANSFER_OUT"
    row, = assert_ok(other.history(theirs))
    assert (row["type"], row["amount"], row["account_id"]) == ("TRANSFER_IN", "4.00", theirs)


def test_refused_calls_leave_no_row(user):
    account = user.account(funds="10")
    assert_problem(user.withdraw(account, "11"), 400)
    assert_problem(user.transfer(account, NOBODY, "1"), 404)
    assert amounts(user.history(account)) == ["10.00"]


# ---- limit and offset ----

def test_limit_is_20_by_default(long_history):
    user, account, expected = long_history
    assert amounts(user.history(account)) == expected[:20]


@pytest.mark.parametrize(("limit", "count"), [(1, 1), (24, 24), (25, 25), (100, 25)])
def test_limit_1_to_100(long_history, limit, count):
    user, account, expected = long_history
    assert amounts(user.history(account, limit=limit)) == expected[:count]


@pytest.mark.parametrize(("offset", "limit"), [(0, 5), (1, 5), (20, 20), (24, 5), (25, 5),
                                               (26, 5), (10000, 5)])
def test_offset_0_to_10000(long_history, offset, limit):
    user, account, expected = long_history
    assert amounts(user.history(account, limit=limit, offset=offset)) == (
        expected[offset:offset + limit])


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("value", ["-1", "abc", "", "1.0", "1e1", "0x10", " 5", "+5", "5 ", "５",
                                   "99999999999999999999", "5\x00"])
def test_limit_or_offset_that_is_no_number_is_422(long_history, name, value):
    user, account, _ = long_history
    assert_invalid(user.history(account, **{name: value}), name)


@pytest.mark.parametrize(("name", "value"), [("limit", "0"), ("limit", "101"), ("offset", "10001")])
def test_limit_or_offset_out_of_range_is_422(long_history, name, value):
    user, account, _ = long_history
    assert_invalid(user.history(account, **{name: value}), name)


def test_limit_given_twice_is_422(long_history):
    user, account, _ = long_history
    path = f"/wallet/accounts/{account}/transactions?limit=1&limit=2"
    assert_invalid(user.http.get(path), "limit")


# ---- whose ----

def test_history_of_someone_elses_account_is_403(user, other):
    assert_problem(user.history(other.account(funds="1")), 403)


def test_history_of_a_missing_account_is_403(user):
    assert_problem(user.history(NOBODY), 403)


def test_history_403_does_not_tell_someone_elses_account_from_none(user, other):
    bodies = [assert_problem(user.history(account), 403)
              for account in (other.account(), NOBODY)]
    assert bodies[0] == bodies[1]


@pytest.mark.parametrize("account", ["1", "not-a-uuid", NOBODY + "0", NOBODY.replace("-", "")])
def test_history_of_an_account_that_is_no_uuid_is_422(user, account):
    assert_problem(user.history(account), 422)


# ---- beside the contract: cursor ----

def test_history_by_cursor_meets_every_row_once(long_history):
    """The Link header (or whatever openapi.yaml names) leads from page to page."""
    user, account, expected = long_history
    seen, response = [], user.history(account, limit=10)
    for _ in range(5):
        seen += amounts(response)
        following = response.links.get("next")
        if following is None:
            break
        response = user.http.get(following["url"])
    assert seen == expected


def test_history_by_cursor_stays_put_while_rows_are_added(user):
    account = user.account()
    for number in range(1, 7):
        assert_ok(user.deposit(account, str(number)))
    first = user.history(account, limit=3)
    assert_ok(user.deposit(account, "100"))
    assert amounts(first) == ["6.00", "5.00", "4.00"]
    second = user.http.get(first.links["next"]["url"])
    assert amounts(second) == ["3.00", "2.00", "1.00"], "expected no row twice"


# ---- beside the contract: one account, one transaction ----

def test_account_shows_balance_available_currency_status(user):
    account = user.account(funds="12.34")
    body = assert_ok(user.http.get(f"/wallet/accounts/{account}"))
    expected = {"id": account, "balance": "12.34", "available": "12.34", "currency": "RUB"}
    assert {name: body.get(name) for name in expected} == expected
    assert body["status"] == "open"


@pytest.mark.parametrize("who", ["nobodys", "someone_elses"])
def test_account_of_others_is_refused_alike(user, other, who):
    account = NOBODY if who == "nobodys" else other.account(funds="1")
    response = user.http.get(f"/wallet/accounts/{account}")
    assert_problem(response, 404, "Account not found")


def test_transaction_shows_entries_that_sum_to_zero(user, other):
    mine, theirs = user.account(funds="10"), other.account()
    key = "entries-of-" + uuid.uuid4().hex
    body = {"from_account_id": mine, "to_account_id": theirs, "amount": "4", "idempotency_key": key}
    assert_ok(user.money("transfer", body))
    transaction = assert_problem(user.money("transfer", body), 409)["transaction"]
    shown = assert_ok(user.http.get(f"/wallet/transactions/{transaction}"))
    assert shown["id"] == transaction
    entries = shown["entries"]
    assert len(entries) == 2
    assert sorted(entry["amount"] for entry in entries) == ["-4.00", "4.00"]
    assert mine in [entry["account_id"] for entry in entries]


def test_transaction_of_others_and_none_is_404(user, other, new_user):
    mine, theirs = user.account(funds="10"), other.account()
    key = "whose-is-" + uuid.uuid4().hex
    assert_ok(user.transfer(mine, theirs, "4", key=key))
    transaction = assert_problem(user.transfer(mine, theirs, "4", key=key), 409)["transaction"]
    stranger = new_user()
    bodies = [assert_problem(stranger.http.get(f"/wallet/transactions/{which}"), 404)
              for which in (transaction, NOBODY)]
    assert bodies[0] == bodies[1]
