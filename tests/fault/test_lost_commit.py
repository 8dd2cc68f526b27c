"""A connection lost around COMMIT: the client gets the truth while the database can be reached, and
the truth later when it cannot (design.md, "What must hold"; reliability.md I-6)."""

import threading
import time

import pytest

from support.api import assert_ok, assert_problem, new_key
from support.journal import transactions_of
from support.settings import scaled
from support.waiting import wait_until

FAULTS = [("reply", 0, False), ("reply", 0, True), ("reply", 1.0, False), ("request", 0, True),
          ("request", 1.0, False), ("late", 0.2, True), ("late", 1.5, False)]


def lose_commit(bank, mode, hold_s=0.0, reset=False):
    bank.proxy.tell("commit", door=0, mode=mode, hold_s=hold_s, reset=reset)


def was_lost(bank, mode):
    return bank.proxy.fired()[mode] == 1


@pytest.mark.parametrize("mode,hold_s,reset", FAULTS)
def test_the_client_gets_the_truth(bank, mode, hold_s, reset):
    """200 with the right balance, and one transaction: whether PostgreSQL had committed (reply),
    never would (request), or did so only while the service was already asking again (late)."""
    user, key = bank.user(), new_key()
    account = user.account(funds="10")
    lose_commit(bank, mode, hold_s, reset)
    body = assert_ok(user.withdraw(account, "3", key))
    assert was_lost(bank, mode), "expected the proxy to lose this COMMIT"
    assert body["new_balance"] == "7.00"
    assert transactions_of(bank.database, [key]) == {key: 1}
    again = user.money("withdraw", {"account_id": account, "amount": "3"}, {"Idempotency-Key": key})
    assert again.headers.get("idempotent-replayed") == "true"
    assert again.content and again.json() == body


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("mode", ["reply", "request", "late"])
def test_a_whole_batch_gets_the_truth(bank, mode, atomic):
    user = bank.user()
    account = user.account(funds="100")
    keys = [new_key() for _ in range(20)]
    operations = [{"type": "withdraw", "account_id": account, "amount": "1", "idempotency_key": key}
                  for key in keys]
    lose_commit(bank, mode, 0.3)
    body = assert_ok(user.http.post("/wallet/batch", json={"operations": operations,
                                                          "atomic": atomic}))
    assert was_lost(bank, mode)
    assert [one["new_balance"] for one in body["results"]] == [f"{99 - n}.00" for n in range(20)]
    assert transactions_of(bank.database, keys) == dict.fromkeys(keys, 1)


def test_a_refusal_in_a_lost_batch_stays_a_refusal(bank):
    """It was decided beside an accepted one, whose COMMIT was lost."""
    user, keys = bank.user(), [new_key(), new_key()]
    account = user.account(funds="5")
    lose_commit(bank, "reply")
    operations = [{"type": "withdraw", "account_id": account, "amount": amount,
                   "idempotency_key": key} for amount, key in zip(("3", "3"), keys)]
    results = assert_ok(user.http.post("/wallet/batch", json={"operations": operations}))["results"]
    assert was_lost(bank, "reply")
    assert [one["status"] for one in results] == [200, 400], results
    assert transactions_of(bank.database, keys) == {keys[0]: 1}


def test_a_duplicate_in_a_lost_batch_stays_a_duplicate(bank):
    """The journal's own second attempt must not take somebody else's transaction for its own."""
    user, key = bank.user(), new_key()
    account = user.account(funds="5")
    first = assert_ok(user.deposit(account, "1", key))
    lose_commit(bank, "reply")
    operations = [{"type": "deposit", "account_id": account, "amount": "1", "idempotency_key": one}
                  for one in (key, new_key())]
    results = assert_ok(user.http.post("/wallet/batch", json={"operations": operations}))["results"]
    assert was_lost(bank, "reply")
    assert [one["status"] for one in results] == [409, 200], results
    assert results[0]["transaction"] == first["transaction"]
    assert results[1]["new_balance"] == "7.00"


@pytest.mark.parametrize("mode,posted", [("reply", True), ("request", False)])
def test_unreachable_until_the_deadline_is_unknown_and_the_key_tells_later(bank, mode, posted):
    user, key = bank.user(), new_key()
    account = user.account(funds="10")
    lose_commit(bank, mode)
    done = threading.Event()

    def cut_off():
        while not was_lost(bank, mode) and not done.is_set():
            time.sleep(0.001)
        bank.proxy.tell("set", door=0, hold=True)

    cutter = threading.Thread(target=cut_off)
    cutter.start()
    began = time.monotonic()
    try:
        response = user.withdraw(account, "4", key)
        took_s = time.monotonic() - began
    finally:
        done.set()
        cutter.join()
        bank.proxy.tell("set", door=0)
    body = assert_problem(response, 503)
    assert body["type"].endswith(":outcome_unknown"), body
    assert response.headers.get("retry-after"), "expected Retry-After with a 503"
    assert 4.5 < took_s < scaled(6.5), f"expected it at the deadline of 5 s, not {took_s:.1f} s"
    wait_until(lambda: bank.service.probe("/readyz") == 200, "the service is ready again")
    again = user.money("withdraw", {"account_id": account, "amount": "4"}, {"Idempotency-Key": key})
    assert assert_ok(again)["new_balance"] == "6.00"
    if posted:
        assert again.headers.get("idempotent-replayed") == "true"
    assert transactions_of(bank.database, [key]) == {key: 1}
