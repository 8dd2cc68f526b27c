"""A command that makes its batch fail is found by halving, and fails alone; its neighbours succeed,
in their order."""

import pytest

from scenes import RAISE, accounts_locked, in_background, refuse, wait_lock, wait_queued
from support.api import assert_ok, assert_problem, new_key
from support.journal import transactions_of
from support.load import Client, money_body, together

POISON = "NEW.amount IN (66613, -66613)"


@pytest.mark.parametrize("poisons", [1, 3])
def test_50_requests_at_once(bank, poisons):
    refuse(bank, POISON, RAISE)
    user = bank.user()
    account = user.account(funds="1000")
    bodies = [money_body(account, "666.13" if number < poisons else "1") for number in range(50)]
    clients = [Client(bank.service.port, user.token) for _ in range(50)]
    with accounts_locked(bank):
        first = in_background(lambda: user.deposit(account, "1"))
        wait_lock(bank)
        rest = in_background(lambda: together(50, lambda n: clients[n].send("/wallet/deposit",
                                                                           bodies[n])))
        wait_queued(bank, 50)
    assert_ok(first())
    calls = rest()
    assert [call.status for call in calls] == [500] * poisons + [200] * (50 - poisons), (
        [(call.status, call.answer) for call in calls if call.status not in (200, 500)])
    assert transactions_of(bank.database, [call.key for call in calls]) == {
        call.key: 1 for call in calls[poisons:]}
    assert user.balance(account) == f"{1001 + 50 - poisons}.00"


@pytest.mark.parametrize("place", [0, 17, 49])
def test_one_of_a_batch(bank, place):
    refuse(bank, POISON, RAISE)
    user = bank.user()
    account = user.account()
    keys = [new_key() for _ in range(50)]
    operations = [{"type": "deposit", "account_id": account, "amount": "1", "idempotency_key": key}
                  for key in keys]
    operations[place]["amount"] = "666.13"
    body = assert_ok(user.http.post("/wallet/batch", json={"operations": operations}))
    statuses = [one["status"] for one in body["results"]]
    assert statuses == [200] * place + [500] + [200] * (49 - place), statuses
    assert body["accepted"] == 49
    order = [row[0] for row in bank.database.query(
        "SELECT t.idempotency_key FROM ledger.entry e JOIN ledger.transaction t"
        " ON t.id = e.transaction_id WHERE e.account_id = %s ORDER BY e.seq", (account,))]
    assert order == keys[:place] + keys[place + 1:], "expected the neighbours in their order"


def test_all_or_nothing_goes_as_a_whole_and_takes_nobody_with_it(bank):
    refuse(bank, POISON, RAISE)
    user, other = bank.user(), bank.user()
    account, theirs = user.account(funds="10"), other.account(funds="10")
    keys = [new_key() for _ in range(8)]
    operations = [{"type": "deposit", "account_id": account, "amount": "1", "idempotency_key": key}
                  for key in keys]
    operations[5]["amount"] = "666.13"
    with accounts_locked(bank):
        first = in_background(lambda: user.deposit(account, "1"))
        wait_lock(bank)
        batch = in_background(lambda: user.http.post(
            "/wallet/batch", json={"operations": operations, "atomic": True}))
        neighbour = in_background(lambda: other.deposit(theirs, "1"))
        wait_queued(bank, 9)
    assert_ok(first())
    assert_ok(neighbour())
    assert_problem(batch(), 500)
    assert transactions_of(bank.database, keys) == {}
    assert user.balance(account) == "11.00"


def test_the_poison_gone_the_key_is_free(bank):
    refuse(bank, POISON, RAISE)
    user, key = bank.user(), new_key()
    account = user.account()
    assert_problem(user.deposit(account, "666.13", key), 500)
    bank.database.execute("DROP TRIGGER refuse ON ledger.entry")
    assert assert_ok(user.deposit(account, "666.13", key))["new_balance"] == "666.13"
