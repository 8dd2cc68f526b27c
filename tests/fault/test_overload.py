"""A full queue answers at once; a database that is gone does, too, and comes back quickly."""

import statistics
import time

import pytest

from scenes import accounts_locked, in_background, wait_lock, wait_queued
from support.api import assert_ok, assert_problem, new_key
from support.load import Client, money_body
from support.settings import scaled
from support.waiting import wait_until

OUTAGE_S = 12


def test_a_full_queue_is_503_at_once(make_bank):
    bank = make_bank(POSTING_QUEUE_MAX="1000", POSTING_BATCH_MAX="100")
    user = bank.user()
    account = user.account(funds="1")
    client = Client(bank.service.port, user.token)
    assert client.send("/wallet/deposit", money_body(account)).status == 200
    batch = [{"type": "deposit", "account_id": account, "amount": "1"} for _ in range(500)]
    with accounts_locked(bank):
        first = in_background(lambda: user.deposit(account, "1"))
        wait_lock(bank)
        rest = [in_background(lambda: user.http.post("/wallet/batch", json={"operations": [
            {**one, "idempotency_key": new_key()} for one in batch]})) for _ in range(2)]
        wait_queued(bank, 1000)
        calls = [client.send("/wallet/deposit", money_body(account)) for _ in range(50)]
    assert {call.status for call in calls} == {503}
    assert {call.answer["type"].rpartition(":")[2] for call in calls} == {"overloaded"}
    took_ms = [(call.answered - call.sent) * 1000 for call in calls]
    assert statistics.median(took_ms) < scaled(10), f"expected under 10 ms: {sorted(took_ms)[-5:]}"
    assert_ok(first())
    for one in rest:
        assert assert_ok(one())["accepted"] == 500
    # 1 + 1 + 1 + 1000, and nothing of what was refused.
    assert user.balance(account) == "1003.00"


def test_overloaded_says_when_to_come_again(make_bank):
    bank = make_bank(POSTING_QUEUE_MAX="1000")
    user = bank.user()
    account = user.account()
    with accounts_locked(bank):
        first = in_background(lambda: user.deposit(account, "1"))
        wait_lock(bank)
        wait = in_background(lambda: user.http.post("/wallet/batch", json={"operations": [
            {"type": "deposit", "account_id": account, "amount": "1", "idempotency_key": new_key()}
            for _ in range(1000)]}))
        wait_queued(bank, 1000)
        response = bank.user().deposit(account, "1")
    assert_problem(response, 503)
    assert int(response.headers["retry-after"]) >= 1
    assert_ok(first())
    assert_ok(wait())


@pytest.mark.parametrize("outage_s", [2, OUTAGE_S])
def test_a_database_that_is_gone_is_503_at_once_and_comes_back_quickly(bank, cluster, outage_s):
    """However long it was away: the service does not get tired of looking for it (L-11)."""
    user, key = bank.user(), new_key()
    account = user.account(funds="5")
    client = Client(bank.service.port, user.token)
    assert client.send("/wallet/deposit", money_body(account)).status == 200
    cluster.shut_down()
    gone = time.monotonic()
    client.close()  # it has been idle while PostgreSQL stopped: too long for the service, maybe
    time.sleep(1.1)  # it may be a moment only: for so long commands may wait
    took_ms = []
    try:
        while time.monotonic() - gone < outage_s:
            call = client.send("/wallet/deposit", money_body(account))
            assert call.status == 503, f"expected 503 without a database: {call}"
            assert call.answer["type"].endswith(":unavailable"), call.answer
            took_ms.append((call.answered - call.sent) * 1000)
            time.sleep(0.05)
    finally:
        cluster.start()
    back = time.monotonic()
    assert statistics.median(took_ms) < scaled(20), f"expected answers at once: {took_ms[-5:]}"
    wait_until(lambda: bank.service.probe("/readyz") == 200,
               "/readyz answers 200 within 5 s of PostgreSQL taking connections", 5)
    wait_until(lambda: client.send("/wallet/deposit", money_body(account, key=key)).status
               in (200, 409), "a deposit succeeds again", 5 - min(4, time.monotonic() - back))
    response = user.deposit(account, "1", key)
    assert_problem(response, 409)
    assert user.balance(account) == "7.00"
