"""An express batch that PostgreSQL gets to see only after the service has lost the connection: no
lock stands between it and the next attempt, so the next attempt must see to it that it comes too
late (poster.c, "fence")."""

import time

import httpx
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


def lose_batch(bank, hold_s, **more):
    bank.proxy.tell("commit", door=0, mode="stale", hold_s=hold_s, reset=True, **more)


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


def die_with_batch(bank):
    """The service is killed when its next express batch is under way, which waits for deliver()."""
    lose_batch(bank, 600, kill=bank.service.process.pid)


def deliver(bank):
    bank.proxy.tell("deliver", door=0)
    wait_delivered(0)


def unanswered(work):
    """Runs it in the background; gives its answer, or None when the connection was lost."""
    def tolerant():
        try:
            return work()
        except httpx.TransportError:
            return None
    return in_background(tolerant)


def succeed(bank):
    """The next process, when the old one has died."""
    bank.service.kill()
    bank.service.start()


def test_a_refusal_by_the_next_process_is_not_posted_afterwards(bank, express):
    """A deposit, and a withdrawal that only the deposit makes possible, arrive together, and the
    service dies. Its successor is asked for the withdrawal alone, and refuses it."""
    user, account = express
    keys, all_of_it = [new_key(), new_key()], float(user.balance(account))
    amount = f"{all_of_it + 101:.2f}"
    bank.proxy.tell("set", door=0, hold=True)
    first = in_background(lambda: user.deposit(account, "1"))
    time.sleep(0.1)
    deposit = unanswered(lambda: user.deposit(account, "100", keys[0]))
    wait_queued(bank, 1)
    withdrawal = unanswered(lambda: user.withdraw(account, amount, keys[1]))
    wait_queued(bank, 2)
    die_with_batch(bank)
    bank.proxy.tell("set", door=0)
    assert_ok(first())
    answers = [deposit(), withdrawal()]
    if was_lost(bank):
        succeed(bank)
        answer = user.withdraw(account, amount, keys[1])
        deliver(bank)
        assert answer.status_code != 400 or keys[1] not in transactions_of(bank.database, keys)
    else:  # their order matters, so they were not sent by express
        assert all(assert_ok(answer) for answer in answers)


def test_a_group_refused_by_the_next_process_is_not_posted_afterwards(bank, express):
    """The service dies with a deposit; its successor is asked for it again, all or nothing, beside
    one that is refused."""
    user, account = express
    key, before = new_key(), float(user.balance(account))
    die_with_batch(bank)
    assert unanswered(lambda: user.deposit(account, "5", key))() is None
    assert was_lost(bank)
    succeed(bank)
    operations = [
        {"type": "deposit", "account_id": account, "amount": "5", "idempotency_key": key},
        {"type": "withdraw", "account_id": account, "amount": "1000000",
         "idempotency_key": new_key()}]
    answer = user.http.post("/wallet/batch", json={"atomic": True, "operations": operations})
    statuses = [result["status"] for result in answer.json()["results"]]
    assert all(status >= 400 for status in statuses), answer.text
    deliver(bank)
    assert transactions_of(bank.database, [key]) == {}
    assert float(user.balance(account)) == before
    assert_ok(user.deposit(account, "5", key))


def test_the_next_process_posts_it_and_the_old_one_fails(bank, express):
    user, account = express
    key, before = new_key(), float(user.balance(account))
    die_with_batch(bank)
    assert unanswered(lambda: user.deposit(account, "5", key))() is None
    succeed(bank)
    assert float(assert_ok(user.deposit(account, "5", key))["new_balance"]) == before + 5
    deliver(bank)
    assert transactions_of(bank.database, [key]) == {key: 1}
    assert float(user.balance(account)) == before + 5
