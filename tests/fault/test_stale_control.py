"""What an operator asked for, and PostgreSQL gets to see only after its service has died: whoever
asked again was told the truth, so it must come too late (migrations/wallet, attempts)."""

import time

import httpx
import pytest

from support import tokens
from support.api import User, assert_ok, assert_problem, new_key


@pytest.fixture
def operator(bank):
    """An operator, with a wallet as anybody has one."""
    somebody = bank.user()
    token = tokens.access_token(somebody.id, bank.secret, roles=["operator"])
    bank.users.append(User(bank.service, bank.secret, token=token, user_id=somebody.id))
    return bank.users[-1]


def die_with(bank, statement, work):
    """The service is killed when it has sent that statement; then its successor starts."""
    bank.proxy.tell("commit", door=0, mode="stale", statement=statement, hold_s=600, reset=True,
                    kill=bank.service.process.pid)
    with pytest.raises(httpx.TransportError):
        work()
    assert bank.proxy.fired()["stale"] == 1
    bank.service.kill()
    bank.service.start()


def deliver(bank):
    """PostgreSQL gets the statement, and has done with it."""
    bank.proxy.tell("deliver", door=0)
    time.sleep(0.6)


def test_a_reversal_that_was_refused_is_not_done_afterwards(bank, operator):
    account, key = operator.account(funds="10"), new_key()
    deposit = operator.rows(account)[0]["id"]
    die_with(bank, "control_reverse", lambda: operator.reverse(deposit, key=key))
    assert_ok(operator.withdraw(account, "1"))
    assert_problem(operator.reverse(deposit, key=key), 400, "Insufficient funds")
    assert_ok(operator.deposit(account, "1"))
    deliver(bank)
    assert operator.balance(account) == "10.00"
    assert_ok(operator.reverse(deposit, key=key))
    assert operator.balance(account) == "0.00"


def test_an_account_that_was_opened_again_is_not_frozen_afterwards(bank, operator):
    account = operator.account(funds="10")
    die_with(bank, "control_set_status", lambda: operator.control(account, "freeze"))
    for action in ("freeze", "unfreeze"):
        assert_ok(operator.control(account, action))
    deliver(bank)
    assert_ok(operator.withdraw(account, "1"))


def test_what_nobody_has_asked_for_again_may_still_happen(bank, operator):
    account = operator.account()
    die_with(bank, "control_set_status", lambda: operator.control(account, "freeze"))
    deliver(bank)
    assert assert_ok(operator.http.get(f"/wallet/accounts/{account}"))["status"] == "frozen"
