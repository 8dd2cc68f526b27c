"""What the database refuses for reasons of the moment is tried again, within bounds; what it
refuses for good is told at once (reliability.md D-5)."""

import time

import pytest

from scenes import RAISE, in_background, refuse, wait_lock
from support.api import assert_ok, assert_problem, new_key
from support.journal import transactions_of
from support.settings import scaled

TRANSIENT = ["40001", "40P01", "55P03", "57014", "53100", "53200", "53300", "58030", "57P03",
             "08006"]
FINAL = ["23505", "23514", "22003", "22021", "P0001", "42501", "XX000", "PC001", "PC020",
         "08P01"]
FIRST_TIMES = "IF nextval('public.attempts') <= {} THEN " + RAISE + " END IF;"


@pytest.mark.parametrize("code", TRANSIENT)
def test_the_first_times_are_tried_again(bank, code):
    refuse(bank, "NEW.amount > 0", FIRST_TIMES.format(3), code)
    user, key = bank.user(), new_key()
    account = user.account()
    assert assert_ok(user.deposit(account, "1", key))["new_balance"] == "1.00"
    assert transactions_of(bank.database, [key]) == {key: 1}


@pytest.mark.parametrize("code", ["40001", "40P01"])
def test_for_ever_is_503_and_nothing_is_posted(bank, code):
    refuse(bank, "NEW.amount > 0", RAISE, code)
    user, key = bank.user(), new_key()
    account = user.account()
    began = time.monotonic()
    body = assert_problem(user.deposit(account, "1", key), 503)
    assert body["type"].endswith(":unavailable"), body
    assert time.monotonic() - began < scaled(6), "expected bounded attempts"
    assert transactions_of(bank.database, [key]) == {}
    bank.database.execute("DROP TRIGGER refuse ON ledger.entry")
    assert assert_ok(user.deposit(account, "1", key))["new_balance"] == "1.00"


@pytest.mark.parametrize("code", FINAL)
def test_what_is_final_is_500_at_once_and_the_service_goes_on(bank, code):
    refuse(bank, "NEW.amount = 66613", RAISE, code)
    user, key = bank.user(), new_key()
    account = user.account()
    began = time.monotonic()
    body = assert_problem(user.deposit(account, "666.13", key), 500)
    assert time.monotonic() - began < scaled(1), "expected no attempt after the first"
    assert "refused for the test" not in str(body), "expected nothing of the database in the answer"
    assert transactions_of(bank.database, [key]) == {}
    assert assert_ok(user.deposit(account, "1"))["new_balance"] == "1.00"


def test_a_cancelled_statement_and_a_terminated_backend_are_tried_again(bank):
    """57014 and 57P01 as they come from outside."""
    user = bank.user()
    account = user.account()
    for function in ("pg_cancel_backend", "pg_terminate_backend"):
        for _ in range(3):
            key = new_key()
            with bank.database.connect() as connection:
                connection.execute("BEGIN")
                connection.execute("SELECT FROM ledger.balance FOR UPDATE")
                wait = in_background(lambda: user.deposit(account, "1", key))
                wait_lock(bank)
                connection.execute(
                    f"SELECT {function}(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                    " AND usename = 'wallet_service'")
                connection.execute("ROLLBACK")
            assert_ok(wait())
            assert transactions_of(bank.database, [key]) == {key: 1}
    assert user.balance(account) == "6.00"
