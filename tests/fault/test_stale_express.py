"""An express batch that PostgreSQL gets to see only after the service has lost the connection: no
lock stands between it and the next attempt, so the next attempt must see to it that it comes too
late (poster.c, "fence")."""

import time

import pytest

from scenes import RAISE, in_background, metric, refuse, wait_queued
from support.api import assert_ok, assert_problem, new_key
from support.journal import transactions_of
from support.waiting import wait_until


@pytest.fixture
def express(bank):
    """A person with an account that goes by express."""
    user = bank.user()
    account = user.account(funds="1")
    wait_until(lambda: assert_ok(user.deposit(account, "1")) and
               metric(bank, "wallet_posting_express_total") > 0, "a batch goes by express", 10)
    return user, account


def lose_batch(bank, hold_s):
    bank.proxy.tell("commit", door=0, mode="stale", hold_s=hold_s, reset=True)


def was_lost(bank):
    return bank.proxy.fired()["stale"] == 1


def wait_delivered(hold_s):
    """PostgreSQL has had the old batch and has done with it."""
    time.sleep(hold_s + 0.7)


def test_the_next_attempt_posts_it_and_the_old_one_fails(bank, express):
    user, account = express
    key, before = new_key(), float(user.balance(account))
    lose_batch(bank, 0.5)
    assert float(assert_ok(user.deposit(account, "5", key))["new_balance"]) == before + 5
    assert was_lost(bank)
    wait_delivered(0.5)
    assert transactions_of(bank.database, [key]) == {key: 1}
    assert float(user.balance(account)) == before + 5


def test_what_may_still_be_posted_is_not_unavailable(bank, express):
    """Each next attempt is refused by the database, and gives up; then the old one arrives."""
    user, account = express
    key, before = new_key(), float(user.balance(account))
    refuse(bank, "NEW.amount IN (500, -500)", RAISE, "40001")
    lose_batch(bank, 3)
    began = time.monotonic()
    body = assert_problem(user.deposit(account, "5", key), 503)
    assert was_lost(bank)
    bank.database.execute("DROP TRIGGER refuse ON ledger.entry")
    assert time.monotonic() - began < 2.9, "expected the end of all attempts before the old batch"
    wait_delivered(3)
    posted = transactions_of(bank.database, [key]).get(key, 0)
    assert body["type"].endswith(":outcome_unknown") or posted == 0, body
    again = user.money("deposit", {"account_id": account, "amount": "5"}, {"Idempotency-Key": key})
    assert float(assert_ok(again)["new_balance"]) == before + 5
    assert transactions_of(bank.database, [key]) == {key: 1}


def test_a_refusal_is_not_posted_afterwards(bank, express):
    """The old batch: a deposit, and a withdrawal that only the deposit makes possible. The deposit's
    deadline passes before the next attempt, which is the withdrawal alone: refused."""
    user, account = express
    keys, all_of_it = [new_key(), new_key()], float(user.balance(account))
    bank.proxy.tell("set", door=0, hold=True)
    first = in_background(lambda: user.deposit(account, "1"))
    time.sleep(0.1)
    deposit = in_background(lambda: user.deposit(account, "100", keys[0]))
    wait_queued(bank, 1)
    time.sleep(2.5)
    withdrawal = in_background(lambda: user.withdraw(account, f"{all_of_it + 101:.2f}", keys[1]))
    wait_queued(bank, 2)
    lose_batch(bank, 5)
    bank.proxy.tell("set", door=0)
    assert_ok(first())
    wait_until(lambda: was_lost(bank), "the batch is lost")
    bank.proxy.tell("set", door=0, hold=True)
    body = assert_problem(deposit(), 503)
    assert body["type"].endswith(":outcome_unknown"), body
    bank.proxy.tell("set", door=0)
    answer = withdrawal()
    wait_delivered(5)
    posted = transactions_of(bank.database, keys)
    assert answer.status_code == 400, answer.text
    assert keys[1] not in posted, "expected a refused withdrawal not to be posted"
