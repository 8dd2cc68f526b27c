"""Many clients, many accounts, two processes: money is neither made nor lost, and no lock of the
database ever reaches a client (reliability.md L-12)."""

import itertools
import random
import time
import uuid
from collections import Counter

import pytest

from support import tokens
from support.api import User, assert_ok, new_key
from support.journal import assert_calls_are_told_true, transactions_of
from support.load import Client, Load, money_body, together, transfer_body
from support.service import Service
from support.waiting import wait_until


@pytest.fixture(scope="module")
def second_service(wallet_service, wallet_settings, folder):
    """Another wallet_api process on the same database."""
    service = Service("wallet_api", wallet_settings, folder).start()
    yield service
    service.stop()


def statuses(calls):
    return Counter(call.status for call in calls)


# ---- one account ----

def test_100_clients_withdraw_1_from_50(user, wallet_service, wallet_database):
    account = user.account(funds="50")
    clients = [Client(wallet_service.port, user.token) for _ in range(100)]
    calls = together(100, lambda n: clients[n].send("/wallet/withdraw", money_body(account)))
    assert statuses(calls) == {200: 50, 400: 50}, f"expected 50 to succeed: {statuses(calls)}"
    assert {call.answer["detail"] for call in calls if call.status == 400} == {"Insufficient funds"}
    assert user.balance(account) == "0.00"
    balances = sorted(float(call.answer["new_balance"]) for call in calls if call.status == 200)
    assert balances == [float(n) for n in range(50)], "expected each balance from 49 to 0 once"
    assert_calls_are_told_true(wallet_database, calls)


def test_50_clients_withdraw_1_through_each_of_two_processes(
        user, wallet_service, second_service, wallet_database):
    account = user.account(funds="50")
    ports = (wallet_service.port, second_service.port)
    clients = [Client(ports[n % 2], user.token) for n in range(100)]
    calls = together(100, lambda n: clients[n].send("/wallet/withdraw", money_body(account)))
    assert statuses(calls) == {200: 50, 400: 50}, f"expected 50 to succeed: {statuses(calls)}"
    assert user.balance(account) == "0.00"
    assert_calls_are_told_true(wallet_database, calls)


def test_transfers_of_the_whole_balance_succeed_once(user, other, wallet_service):
    source, theirs = user.account(funds="7"), other.account()
    clients = [Client(wallet_service.port, user.token) for _ in range(32)]
    calls = together(32, lambda n: clients[n].send("/wallet/transfer",
                                                   transfer_body(source, theirs, "7")))
    assert statuses(calls) == {200: 1, 400: 31}, f"expected one to succeed: {statuses(calls)}"
    assert (user.balance(source), other.balance(theirs)) == ("0.00", "7.00")


# ---- two accounts, opposite ways ----

def run_opposite(new_user, services, wallet_database, seconds):
    left, right = new_user(), new_user()
    accounts = [left.account(funds="1000"), right.account(funds="1000")]
    owners = [left.token, right.token]

    def next_call(number):
        way = number % 2
        return "/wallet/transfer", transfer_body(accounts[way], accounts[1 - way],
                                                 str(random.randint(1, 9)))

    # Two neighbours, who go opposite ways, share a process.
    ports = [service.port for service in services for _ in range(2)]
    load = Load(ports, [owners[number % 2] for number in range(32)], next_call).start()
    time.sleep(seconds)  # how long the load lasts
    calls = load.stop()
    counts = statuses(calls)
    assert set(counts) <= {200, 400}, f"expected 200, or 400 for want of funds, only: {counts}"
    assert counts[200] > 100, f"expected the load to get through: {counts}"
    total = float(left.balance(accounts[0])) + float(right.balance(accounts[1]))
    assert total == 2000.0, f"expected 2000.00 in both together, found {total}"
    assert_calls_are_told_true(wallet_database, calls)
    for service in services:
        for line in service.log_lines():
            assert line.get("status") != 500, f"expected no 500: {line}"


def test_opposite_transfers_from_32_clients_for_10_s(new_user, wallet_service, wallet_database):
    run_opposite(new_user, [wallet_service], wallet_database, seconds=10)


def test_opposite_transfers_through_two_processes(new_user, wallet_service, second_service,
                                                  wallet_database):
    run_opposite(new_user, [wallet_service, second_service], wallet_database, seconds=4)


def test_ring_of_transfers_through_two_processes(new_user, wallet_service, second_service,
                                                 wallet_database):
    """A -> B -> C -> D -> A, and withdrawals and deposits that lock the settlement account."""
    users = [new_user() for _ in range(4)]
    accounts = [user.account(funds="100") for user in users]
    turn = itertools.count()

    def next_call(number):
        source = number % 4
        kind = next(turn) % 4
        if kind < 2:
            return "/wallet/transfer", transfer_body(accounts[source], accounts[(source + 1) % 4])
        return (("/wallet/deposit", "/wallet/withdraw")[kind - 2], money_body(accounts[source]))

    load = Load([wallet_service.port] * 4 + [second_service.port] * 4,
                [users[number % 4].token for number in range(16)], next_call).start()
    wait_until(lambda: load.succeeded() >= 1500, "1,500 calls to succeed", seconds=30)
    calls = load.stop()
    counts = statuses(calls)
    assert set(counts) <= {200, 400}, f"expected 200, or 400 for want of funds, only: {counts}"
    expected = 400.0
    for call in calls:
        if call.status == 200:
            expected += {"/wallet/deposit": 1, "/wallet/withdraw": -1}.get(call.path, 0)
    total = sum(float(user.balance(account)) for user, account in zip(users, accounts))
    assert total == expected, f"expected {expected} in all accounts together, found {total}"
    assert_calls_are_told_true(wallet_database, calls)


# ---- one key ----

@pytest.mark.parametrize("turn", range(5))
def test_same_key_in_two_processes_at_once(user, wallet_service, second_service, wallet_database,
                                           turn):
    account, key = user.account(), new_key()
    ports = (wallet_service.port, second_service.port)
    clients = [Client(ports[n % 2], user.token) for n in range(16)]
    calls = together(16, lambda n: clients[n].send("/wallet/deposit", money_body(account, key=key)))
    assert statuses(calls) == {200: 1, 409: 15}, f"expected one 200: {statuses(calls)}"
    assert transactions_of(wallet_database, [key]) == {key: 1}
    originals = {call.answer["transaction"] for call in calls if call.status == 409}
    assert len(originals) == 1, f"expected all to be told of one transaction: {originals}"
    assert user.balance(account) == "1.00"


def test_same_key_with_different_accounts_in_two_processes_at_once(
        user, wallet_service, second_service, wallet_database):
    """No account is locked by both, so only the unique key can decide."""
    accounts, key = [user.account() for _ in range(16)], new_key()
    ports = (wallet_service.port, second_service.port)
    clients = [Client(ports[n % 2], user.token) for n in range(16)]
    calls = together(16, lambda n: clients[n].send("/wallet/deposit",
                                                   money_body(accounts[n], key=key)))
    assert statuses(calls) == {200: 1, 409: 15}, f"expected one 200: {statuses(calls)}"
    assert transactions_of(wallet_database, [key]) == {key: 1}
    assert sorted(user.balance(account) for account in accounts) == ["0.00"] * 15 + ["1.00"]


# ---- order, and others ----

def test_what_was_answered_is_seen_by_what_is_asked_afterwards(user, wallet_service,
                                                               second_service, secret):
    """INV10: through another process, too."""
    account = user.account()
    there = User(second_service, secret, token=user.token, user_id=user.id)
    for turn in range(1, 51):
        writer, reader = (user, there) if turn % 2 else (there, user)
        told = assert_ok(writer.deposit(account, "1"))["new_balance"]
        assert told == f"{turn}.00"
        assert reader.balance(account) == told
        assert assert_ok(reader.history(account, limit=1))[0]["amount"] == "1.00"
        assert assert_ok(reader.accounts())[0]["balance"] == told
    there.http.close()


def test_history_numbers_every_posting_once_under_load(user, wallet_service, wallet_database):
    account = user.account()
    clients = [Client(wallet_service.port, user.token) for _ in range(16)]

    def work(number):
        return [clients[number].send("/wallet/deposit", money_body(account)) for _ in range(20)]

    calls = [call for calls in together(16, work) for call in calls]
    assert statuses(calls) == {200: 320}
    rows = user.rows(account)
    assert len({row["id"] for row in rows}) == 320
    sequence = wallet_database.query(
        "SELECT seq FROM ledger.entry WHERE account_id = %s ORDER BY seq", (account,))
    assert [seq for seq, in sequence] == list(range(1, 321)), "expected 1 to 320 without a gap"


def test_wrong_owner_under_load_moves_nothing(new_user, wallet_service, wallet_database):
    """While the owner works on an account, strangers are refused on every call."""
    owner, strangers = new_user(), [new_user() for _ in range(7)]
    account, ports = owner.account(funds="100"), [wallet_service.port]
    theirs = [stranger.account(funds="5") for stranger in strangers]

    def next_call(number):
        if number == 0:
            return "/wallet/deposit", money_body(account)
        kind = random.randrange(3)
        if kind == 0:
            return "/wallet/transfer", transfer_body(account, theirs[number - 1])
        return ("/wallet/deposit", "/wallet/withdraw")[kind - 1], money_body(account)

    load = Load(ports, [owner.token, *(stranger.token for stranger in strangers)],
                next_call).start()
    wait_until(lambda: len(load.all()) >= 500, "500 calls", seconds=30)
    calls = load.stop()
    for call in calls:
        allowed = ({200} if call.token == owner.token else
                   {403} if call.path == "/wallet/transfer" else {404})
        assert call.status in allowed, f"expected {allowed} for {call}"
    deposits = sum(1 for call in calls if call.status == 200)
    assert float(owner.balance(account)) == 100 + deposits
    assert_calls_are_told_true(wallet_database, calls)


def test_many_users_open_accounts_at_once(wallet_service, secret):
    """Ids are unique across threads and processes."""
    tokens_of = [tokens.access_token(uuid.uuid4(), secret) for _ in range(32)]
    clients = [Client(wallet_service.port, token) for token in tokens_of]

    def work(number):
        return [clients[number].send("/wallet/accounts", {}) for _ in range(5)]

    calls = [call for calls in together(32, work) for call in calls]
    assert statuses(calls) == {201: 160}
    assert len({call.answer["id"] for call in calls}) == 160
