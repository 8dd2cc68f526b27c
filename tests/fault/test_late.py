"""Who was answered at the deadline, and has asked again elsewhere, must not be posted after that:
an attempt does nothing new once its time has passed."""

import contextlib
import time

import pytest

from scenes import in_background, metric, wait_lock, wait_queued
from support.api import User, assert_ok, assert_problem, new_key
from support.journal import transactions_of
from support.service import Service
from support.waiting import wait_until

TIMEOUT_MS = 3000  # of a request; the database waits half as long for a lock


@pytest.fixture
def second(bank, secret, tmp_path):
    """Another wallet_api on the same database, past the proxy."""
    service = Service("wallet_api", {**bank.database.environment(), "JWT_SECRET": secret,
                                     "THREADS": "1"}, tmp_path / "second").start()
    yield service
    service.stop()


@contextlib.contextmanager
def locked(bank, account):
    """Its snapshot, until the end of the block or until release() is called."""
    with bank.database.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT FROM ledger.balance WHERE account_id = %s FOR UPDATE",
                           (account,))
        try:
            yield lambda: connection.execute("ROLLBACK")
        finally:
            connection.execute("ROLLBACK")


@pytest.fixture
def bank(make_bank):
    return make_bank(REQUEST_TIMEOUT_MS=str(TIMEOUT_MS))


def test_nothing_is_posted_for_an_attempt_whose_time_has_passed(bank, second, secret):
    """An express batch waits for a lock until the deadline, and loses its race. Meanwhile its
    command, outcome unknown, is asked for elsewhere and refused; then there is money again."""
    user = bank.user()
    other = User(second, secret, token=user.token, user_id=user.id)
    first, slow, poor = user.account(funds="9"), user.account(funds="9"), user.account(funds="5")
    sink, key, began = user.account(), new_key(), metric(bank, "wallet_posting_express_total")
    operations = [{"type": "transfer", "from_account_id": source, "to_account_id": sink,
                   "amount": "5", "idempotency_key": one}
                  for source, one in ((slow, new_key()), (poor, key))]
    for account in (first, slow, poor):
        assert_ok(user.transfer(account, sink, "1"))
        assert_ok(user.transfer(sink, account, "1"))
    wait_until(lambda: metric(bank, "wallet_posting_express_total") > began, "express works", 5)
    with locked(bank, first) as release_first, locked(bank, slow):
        before = in_background(lambda: user.transfer(first, sink, "1"))
        wait_lock(bank)
        answer = in_background(
            lambda: user.http.post("/wallet/batch", json={"operations": operations}))
        wait_queued(bank, 2)
        time.sleep(0.6 * TIMEOUT_MS / 1000)
        release_first()
        assert_ok(before())
        told = answer().json()["results"][1]
        assert told["type"].endswith(":outcome_unknown"), told
        assert_ok(other.withdraw(poor, "5"))
        refused = assert_problem(other.transfer(poor, sink, "5", key), 400)
        assert_ok(other.deposit(poor, "5"))
    wait_until(lambda: metric(bank, "wallet_posting_queue") == 0, "the queue is empty", 5)
    time.sleep(0.3)
    assert transactions_of(bank.database, [key]) == {}, f"posted after {refused['detail']}"
    other.http.close()
