"""A COMMIT that waits for a synchronous standby which is not there: its outcome is unknown, and a
cancelled wait (a warning, then success) is not taken for one (reliability.md D-3, D-4)."""

import threading
import time

import pytest

from support.api import assert_ok, assert_problem, new_key
from support.journal import transactions_of
from support.load import Client, money_body, together
from support.settings import scaled
from support.waiting import wait_until


@pytest.fixture
def missing_standby(cluster, bank):
    """After accounts are there (they are opened by commits, too): standby() turns it on."""

    def standby(on):
        with cluster.connect("postgres") as connection:
            connection.execute("ALTER SYSTEM SET synchronous_standby_names = "
                               + ("'nobody'" if on else "''"))
            connection.execute("SELECT pg_reload_conf()")
        wanted = "nobody" if on else ""
        wait_until(lambda: bank.database.query("SHOW synchronous_standby_names") == [(wanted,)],
                   "the setting holds")
        time.sleep(0.2)  # the checkpointer tells the backends

    yield standby
    standby(False)


def waiters(bank):
    return bank.database.query("SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
                               " AND usename = 'wallet_service'")


def test_a_missing_standby_is_unknown_and_the_keys_tell_later(bank, missing_standby):
    user = bank.user()
    account = user.account(funds="100")
    missing_standby(True)
    clients = [Client(bank.service.port, user.token) for _ in range(50)]
    began = time.monotonic()
    calls = together(50, lambda n: clients[n].send("/wallet/withdraw", money_body(account)))
    took_s = time.monotonic() - began
    assert {call.status for call in calls} == {503}, {call.status for call in calls}
    kinds = {call.answer["type"].rpartition(":")[2] for call in calls}
    assert "outcome_unknown" in kinds and kinds <= {"outcome_unknown", "unavailable"}, kinds
    assert 4.5 < took_s < scaled(6.5), f"expected them at the deadline of 5 s, not {took_s:.1f} s"
    missing_standby(False)
    wait_until(lambda: bank.service.probe("/readyz") == 200, "the service is ready")
    for call in calls:
        again = user.money("withdraw", {"account_id": account, "amount": "1"},
                           {"Idempotency-Key": call.key})
        assert_ok(again)
    assert transactions_of(bank.database, [call.key for call in calls]) == {
        call.key: 1 for call in calls}
    assert user.balance(account) == "50.00"


def test_a_cancelled_wait_is_no_success(bank, missing_standby):
    """pg_cancel_backend ends the wait: COMMIT succeeds with a warning. No 200 may come of it while
    the standby is missing."""
    user = bank.user()
    account = user.account(funds="100")
    missing_standby(True)
    stop, cancelled = threading.Event(), []

    def cancel():
        while not stop.is_set():
            for pid, in waiters(bank):
                bank.database.execute("SELECT pg_cancel_backend(%s)", (pid,))
                cancelled.append(pid)
            time.sleep(0.05)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    key = new_key()
    try:
        response = user.withdraw(account, "1", key)
    finally:
        stop.set()
        canceller.join()
    assert cancelled, "expected a COMMIT that waits for the standby, to be cancelled"
    body = assert_problem(response, 503)
    assert body["type"].endswith(":outcome_unknown"), body
    missing_standby(False)
    wait_until(lambda: bank.service.probe("/readyz") == 200, "the service is ready")
    again = user.money("withdraw", {"account_id": account, "amount": "1"}, {"Idempotency-Key": key})
    assert assert_ok(again)["new_balance"] == "99.00"
    assert transactions_of(bank.database, [key]) == {key: 1}


def test_a_standby_that_comes_back_in_time_makes_it_a_success(bank, missing_standby):
    user, key = bank.user(), new_key()
    account = user.account(funds="100")
    missing_standby(True)
    timer = threading.Timer(1.5, missing_standby, [False])
    timer.start()
    try:
        body = assert_ok(user.withdraw(account, "1", key))
    finally:
        timer.join()
    assert body["new_balance"] == "99.00"
    assert transactions_of(bank.database, [key]) == {key: 1}
