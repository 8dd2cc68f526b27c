"""Accounts under control: operators freeze, open and close them, and the audit trail tells."""

import threading
import time

import pytest

from support import tokens
from support.api import NOBODY, User, assert_invalid, assert_ok, assert_problem
from support.load import Load, money_body
from support.service import Service
from support.waiting import wait_until


@pytest.fixture
def operator(new_user, secret):
    user = new_user()
    return new_user(token=tokens.access_token(user.id, secret, roles=["operator"]), user_id=user.id)


@pytest.fixture
def auditor(new_user, secret):
    return new_user(token=tokens.access_token(NOBODY, secret, roles=["auditor"]))


def audit(auditor, **filters):
    return assert_ok(auditor.http.get("/audit", params=filters))


def settlement(database, currency="RUB"):
    return str(database.query("SELECT id FROM ledger.account WHERE code = %s",
                              (f"assets:settlement:{currency}",))[0][0])


# ---- what a status means ----

def test_from_a_frozen_account_nothing_is_taken(operator, user, other):
    account, theirs = user.account(funds="10"), other.account(funds="10")
    assert assert_ok(operator.control(account, "freeze")) == {"id": account, "status": "frozen"}
    assert_problem(user.withdraw(account, "1"), 422)
    assert_problem(user.transfer(account, theirs, "1"), 422)
    assert_ok(other.transfer(theirs, account, "1"))
    assert_ok(user.deposit(account, "1"))
    shown = assert_ok(user.http.get(f"/wallet/accounts/{account}"))
    assert (shown["status"], shown["balance"]) == ("frozen", "12.00")


def test_opened_again_it_is_as_before(operator, user):
    account = user.account(funds="10")
    assert_ok(operator.control(account, "freeze"))
    assert assert_ok(operator.control(account, "unfreeze"))["status"] == "open"
    assert_ok(user.withdraw(account, "10"))


def test_a_closed_account_refuses_all_for_ever(operator, user, other):
    account, theirs = user.account(funds="10"), other.account(funds="10")
    assert_ok(user.withdraw(account, "10"))
    assert assert_ok(operator.control(account, "close"))["status"] == "closed"
    for refused in (user.deposit(account, "1"), user.withdraw(account, "1"),
                    other.transfer(theirs, account, "1")):
        assert assert_problem(refused, 422)["type"].endswith(":account_closed")
    for action in ("freeze", "unfreeze"):
        refused = assert_problem(operator.control(account, action), 422)
        assert refused["type"].endswith(":account_closed")
    assert len(user.rows(account)) == 2, "its history stays"


def test_with_money_in_it_an_account_is_not_closed(operator, user):
    account = user.account(funds="0.01")
    refused = assert_problem(operator.control(account, "close"), 422)
    assert refused["type"].endswith(":account_not_empty")
    assert_ok(user.withdraw(account, "0.01"))
    assert_ok(operator.control(account, "close"))


@pytest.mark.parametrize("action", ["freeze", "unfreeze", "close"])
def test_to_do_it_twice_is_to_do_it_once(operator, user, action):
    account = user.account()
    first = assert_ok(operator.control(account, action))
    assert assert_ok(operator.control(account, action)) == first


@pytest.mark.parametrize("action", ["freeze", "close"])
def test_a_settlement_account_stays_open(operator, wallet_database, action):
    refused = assert_problem(operator.control(settlement(wallet_database), action), 422)
    assert refused["type"].endswith(":settlement_account")


@pytest.mark.parametrize("reason", [None, "", 7, "x" * 257, "a\0b", ["a"]])
def test_a_reason_is_needed(operator, user, reason):
    account = user.account()
    assert_invalid(operator.control(account, "freeze", reason), "reason")
    assert assert_ok(user.http.get(f"/wallet/accounts/{account}"))["status"] == "open"


def test_unknown_members_and_accounts(operator, user):
    account = user.account()
    assert_invalid(operator.control(account, "freeze", force=True), "force")
    assert_invalid(operator.control("nothing", "freeze"), "id")
    assert_problem(operator.control(NOBODY, "freeze"), 404)


def test_owners_do_not_control_their_accounts(user):
    account = user.account()
    for action in ("freeze", "unfreeze", "close"):
        refused = assert_problem(user.control(account, action), 403)
        assert refused["type"].endswith(":insufficient_role")


def test_a_refused_authorisation_is_in_the_audit_trail(auditor, user):
    account = user.account()
    assert_problem(user.control(account, "freeze"), 403)
    wait_until(lambda: audit(auditor, actor=user.id), "the line is written")
    (line,) = audit(auditor, actor=user.id)
    assert line == {**line, "event": "authz_fail", "outcome": "failure",
                    "subject": "POST /wallet/accounts/{id}/freeze", "reason": "insufficient_role",
                    "address": "127.0.0.1"}


def test_a_settlement_account_is_not_there_for_those_who_transfer(user, wallet_database):
    account = user.account(funds="10")
    for _ in range(3):
        refused = user.transfer(account, settlement(wallet_database), "1")
        assert_problem(refused, 404, "Account not found")
        assert_ok(user.withdraw(account, "1"))  # by which the settlement account is known
    assert user.balance(account) == "7.00"


# ---- races ----

def test_nothing_is_taken_after_the_answer(operator, user, wallet_service):
    """64 clients withdraw while one freezes, five times."""
    account = user.account(funds="1000000")
    for _ in range(5):
        load = Load([wallet_service.port], [user.token] * 64,
                    lambda number: ("/wallet/withdraw", money_body(account, "0.01")))
        load.start()
        wait_until(lambda: sum(len(calls) for calls in load.calls) > 200, "money is withdrawn")
        assert_ok(operator.control(account, "freeze"))
        answered, balance = time.monotonic(), user.balance(account)
        wait_until(lambda: sum(call.sent > answered for call in load.all()) > 100, "they go on")
        calls = load.stop()
        late = {call.status for call in calls if call.sent > answered}
        assert late == {422}, f"expected every later withdrawal to be refused: {late}"
        assert user.balance(account) == balance, "expected no withdrawal after the answer"
        assert_ok(operator.control(account, "unfreeze"))
    assert_ok(user.withdraw(account, "0.01"))


def test_deposits_while_an_account_is_closed(operator, user):
    """Either the money came before, and it is not closed, or it is closed, and no money is there."""
    for _ in range(20):
        account = user.account()
        answers = {}
        deposit = threading.Thread(target=lambda: answers.update(
            deposit=user.deposit(account, "1").status_code))
        deposit.start()
        answers["close"] = operator.control(account, "close").status_code
        deposit.join()
        assert answers in ({"deposit": 200, "close": 422}, {"deposit": 422, "close": 200})
        assert user.balance(account) == ("1.00" if answers["deposit"] == 200 else "0.00")


# ---- the trail ----

def test_each_attempt_is_in_the_audit_trail(operator, auditor, user):
    account = user.account(funds="1")
    operator.http.post(f"/wallet/accounts/{account}/freeze", json={"reason": "a suspicion"},
                       headers={"X-Request-Id": "request-of-the-test", "User-Agent": "a test"})
    operator.control(account, "close", "too early")
    newest, oldest = audit(auditor, subject=account)
    assert oldest == {**oldest, "event": "account_frozen", "outcome": "success",
                      "actor": operator.id, "subject": account, "reason": "a suspicion",
                      "request_id": "request-of-the-test", "address": "127.0.0.1",
                      "agent": "a test"}
    assert oldest["detail"]["was"] == "open"
    assert (newest["event"], newest["outcome"]) == ("account_closed", "failure")
    assert newest["detail"]["outcome"] == "account_not_empty"


def test_the_trail_is_filtered_and_paged(operator, auditor, user):
    account = user.account()
    for action in ("freeze", "unfreeze") * 3:
        assert_ok(operator.control(account, action))
    frozen = audit(auditor, subject=account, event="account_frozen")
    assert len(frozen) == 3 and {one["event"] for one in frozen} == {"account_frozen"}
    assert audit(auditor, subject=account, outcome="failure") == []
    assert audit(auditor, actor=operator.id, subject=account, limit=6) != []
    pages, cursor = [], None
    while len(pages) < 10:
        query = {"subject": account, "limit": 4, **({"cursor": cursor} if cursor else {})}
        answer = auditor.http.get("/audit", params=query)
        pages.append([one["id"] for one in assert_ok(answer)])
        cursor = answer.headers.get("x-next-cursor")
        if cursor is None:
            break
    assert [len(page) for page in pages] == [4, 2]
    ids = sum(pages, [])
    assert ids == sorted(ids, reverse=True)


def test_an_auditor_sees_the_trail_of_his_ledger_alone(databases, wallet_settings, folder, secret):
    """Two services, each with a ledger of its own in one database."""
    database = databases.copy("wallet")
    database.execute("SELECT ledger.create_ledger('second')")
    services = {name: Service("wallet_api", {
        **wallet_settings, **database.environment(), "LEDGER_NAME": name}, folder / name).start()
        for name in ("main", "second")}
    accounts = {}
    for name, service in services.items():
        operator = User(service, secret, token=tokens.access_token(
            NOBODY, secret, roles=["user", "operator"]))
        accounts[name] = operator.account()
        assert_ok(operator.control(accounts[name], "freeze", f"in {name}"))
        assert_problem(operator.http.get("/audit"), 403)
    assert_problem(operator.control(accounts["main"], "freeze"), 404)
    for name, service in services.items():
        client = User(service, secret, token=tokens.access_token(NOBODY, secret, roles=["auditor"]))
        wait_until(lambda: audit(client, event="authz_fail"), "the refusal is written")
        assert [one["reason"] for one in audit(client, event="account_frozen", outcome="success")
                ] == [f"in {name}"]
        assert len(audit(client, event="authz_fail")) == 1
        assert [one["outcome"] for one in audit(client, subject=accounts["main"])] == (
            ["success"] if name == "main" else ["failure"]), "what was tried here, whoever's it is"
        shown = audit(client, limit=1000)
        assert len({one["detail"]["ledger"] for one in shown}) == 1
        service.stop()
    assert database.query("SELECT count(*) FROM ledger.audit WHERE NOT detail ? 'ledger'") == [(0,)]
