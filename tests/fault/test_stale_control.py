"""What an operator asked for, and PostgreSQL gets to see only after its service has died: whoever
asked again was told the truth, so it must come too late (migrations/wallet, attempts)."""

import time

import httpx
import pytest

from scenes import in_background
from support import tokens
from support.api import User, assert_ok, assert_problem, new_key

HOLD_S = 1.5  # so long after the service's death the old call arrives


@pytest.fixture
def operator(bank):
    """An operator, with a wallet as anybody has one."""
    somebody = bank.user()
    token = tokens.access_token(somebody.id, bank.secret, roles=["operator"])
    bank.users.append(User(bank.service, bank.secret, token=token, user_id=somebody.id))
    return bank.users[-1]


def die_with(bank, statement, work):
    """The service is killed when it has sent that statement; then its successor starts. Returns a
    function that waits until PostgreSQL has had the statement and has done with it."""
    bank.proxy.tell("commit", door=0, mode="stale", statement=statement, hold_s=HOLD_S, reset=True,
                    kill=bank.service.process.pid)

    def lost():
        with pytest.raises(httpx.TransportError):
            work()
        return time.monotonic() + HOLD_S + 0.3

    delivered = in_background(lost)()
    assert bank.proxy.fired()["stale"] == 1
    bank.service.kill()
    bank.service.start()
    return lambda: time.sleep(max(0, delivered - time.monotonic()))


def test_a_reversal_that_was_refused_is_not_done_afterwards(bank, operator):
    account, key = operator.account(funds="10"), new_key()
    deposit = operator.rows(account)[0]["id"]
    wait_delivered = die_with(bank, "control_reverse", lambda: operator.reverse(deposit, key=key))
    assert_ok(operator.withdraw(account, "1"))
    assert_problem(operator.reverse(deposit, key=key), 400, "Insufficient funds")
    assert_ok(operator.deposit(account, "1"))
    wait_delivered()
    assert operator.balance(account) == "10.00"
    assert_ok(operator.reverse(deposit, key=key))
    assert operator.balance(account) == "0.00"


def test_an_account_that_was_opened_again_is_not_frozen_afterwards(bank, operator):
    account = operator.account(funds="10")
    wait_delivered = die_with(bank, "control_set_status",
                              lambda: operator.control(account, "freeze"))
    for action in ("freeze", "unfreeze"):
        assert_ok(operator.control(account, action))
    wait_delivered()
    assert_ok(operator.withdraw(account, "1"))


def test_what_nobody_has_asked_for_again_may_still_happen(bank, operator):
    account = operator.account()
    wait_delivered = die_with(bank, "control_set_status",
                              lambda: operator.control(account, "freeze"))
    wait_delivered()
    assert assert_ok(operator.http.get(f"/wallet/accounts/{account}"))["status"] == "frozen"
