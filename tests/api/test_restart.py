"""kill -9 of wallet_api and of PostgreSQL under load: every answered 200 is in the journal exactly
once, every call without an answer can be asked again, and all invariants hold."""

import os
import random
import signal
import threading
import time

import pytest

from support.api import User
from support.cluster import Cluster
from support.databases import Databases, check_invariants
from support.journal import assert_calls_are_told_true, transactions_of
from support.load import Client, Load, money_body, together, transfer_body
from support.service import Service
from support.settings import scaled
from support.waiting import wait_until

CLIENTS = 16
KILLS = 4


class Bank:
    """One wallet_api on a cluster of its own, some users, and what they have."""

    def __init__(self, database, secret, folder):
        self.database, self.secret = database, secret
        self.service = Service("wallet_api", {
            **database.environment(), "JWT_SECRET": secret, "THREADS": "2"}, folder).start()
        self.users = [User(self.service, secret) for _ in range(4)]
        self.accounts = [user.account(funds="100000") for user in self.users]
        self.funded = 4 * 100000

    def next_call(self, number):
        which = number % 4
        kind = random.randrange(4)
        if kind < 2:
            others = [account for account in self.accounts if account != self.accounts[which]]
            return "/wallet/transfer", transfer_body(self.accounts[which], random.choice(others))
        return (("/wallet/deposit", "/wallet/withdraw")[kind - 2], money_body(self.accounts[which]))

    def load(self):
        callers = [self.users[number % 4].token for number in range(CLIENTS)]
        return Load([self.service.port], callers, self.next_call)

    def balances(self):
        """Through the service that has come back."""
        return sum(float(User(self.service, self.secret, token=user.token).balance(account))
                   for user, account in zip(self.users, self.accounts))

    def settle(self, calls):
        """Asks again, with the same key, for every call whose outcome nobody was told."""
        open_calls = [call for call in calls if call.status in (None, 503)]

        def ask_again(number):
            for call in open_calls[number::CLIENTS]:
                client = clients[number]
                client.token = call.token
                again = client.send(call.path, call.body)
                assert again.status in (200, 409), f"expected the truth about {call}, got {again}"
                if again.status == 409:
                    assert again.answer["same_request"] is True, f"expected {call} in {again}"

        clients = [Client(self.service.port, None) for _ in range(CLIENTS)]
        together(CLIENTS, ask_again)
        for client in clients:
            client.close()
        found = transactions_of(self.database, [call.key for call in open_calls])
        for call in open_calls:
            assert found[call.key] == 1, f"expected one transaction for {call}: {found[call.key]}"
        return len(open_calls)

    def check(self, calls):
        assert_calls_are_told_true(self.database, calls)
        settled = self.settle(calls)
        expected = float(self.funded)
        for call in calls:
            if call.status in (200, None, 503):  # those without an answer were settled
                expected += {"/wallet/deposit": 1, "/wallet/withdraw": -1}.get(call.path, 0)
        assert self.balances() == expected, f"expected {expected} in all accounts together"
        check_invariants(self.database)
        return settled


@pytest.fixture(scope="module")
def cluster():
    cluster = Cluster().create()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="module")
def own_databases(cluster):
    return Databases(cluster)


@pytest.fixture
def bank(own_databases, secret, tmp_path):
    bank = Bank(own_databases.copy("wallet"), secret, tmp_path)
    yield bank
    bank.service.stop()


def go_on(load, count):
    """Lets the load get `count` further calls through."""
    goal = load.succeeded() + count
    wait_until(lambda: load.succeeded() >= goal, f"{count} further calls to succeed", seconds=60)


def told(capsys, what, calls, settled):
    with capsys.disabled():
        counts = {status: sum(1 for call in calls if call.status == status)
                  for status in sorted({call.status for call in calls}, key=str)}
        print(f"\n  {what}: {len(calls)} calls, by status {counts}, {settled} asked again")


def test_kill_9_of_wallet_api_under_load(bank, capsys):
    load = bank.load().start()
    for _ in range(KILLS):
        go_on(load, 200)
        bank.service.kill()
        bank.service.start()
    go_on(load, 100)
    calls = load.stop()
    assert any(call.status is None for call in calls), "expected a kill to cut some calls off"
    settled = bank.check(calls)
    told(capsys, f"{KILLS} kills of wallet_api", calls, settled)


def test_kill_9_of_postgresql_under_load(bank, cluster, capsys):
    load = bank.load().start()
    for _ in range(KILLS):
        go_on(load, 200)
        cluster.kill()
        cluster.start()
        wait_until(lambda: bank.service.probe("/readyz") == 200,
                   "/readyz answers 200 within 5 s of PostgreSQL taking connections", seconds=5)
    go_on(load, 100)
    calls = load.stop()
    unexpected = {call.status for call in calls} - {200, 400, 503}
    assert not unexpected, f"expected 200, or 503 while the database is away: {unexpected}"
    settled = bank.check(calls)
    told(capsys, f"{KILLS} kills of PostgreSQL", calls, settled)


def test_kill_9_of_both_at_once_under_load(bank, cluster, capsys):
    load = bank.load().start()
    go_on(load, 200)
    killer = threading.Thread(target=bank.service.kill)
    killer.start()
    cluster.kill()
    killer.join()
    cluster.start()
    bank.service.start()
    go_on(load, 100)
    calls = load.stop()
    settled = bank.check(calls)
    told(capsys, "a kill of both", calls, settled)


def test_all_backends_terminated_under_load(bank, cluster, capsys):
    """pg_terminate_backend cuts connections at any point, COMMIT included."""
    load = bank.load().start()
    for _ in range(10):
        go_on(load, 30)
        bank.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND pid <> pg_backend_pid()", (bank.database.name,))
    go_on(load, 100)
    calls = load.stop()
    unexpected = {call.status for call in calls} - {200, 400, 503}
    assert not unexpected, f"expected 200, or 503 while there is no connection: {unexpected}"
    settled = bank.check(calls)
    told(capsys, "10 times all backends terminated", calls, settled)


def test_no_request_hangs_while_postgresql_is_frozen(bank, cluster, capsys):
    """SIGSTOP of every process: nothing answers, and nothing is refused. A request ends at its
    deadline (5 s) all the same, and its key tells the truth later."""
    victims = cluster.processes()
    client = Client(bank.service.port, bank.users[0].token)
    began = time.monotonic()
    try:
        for pid in victims:
            os.kill(pid, signal.SIGSTOP)
        call = client.send("/wallet/deposit", money_body(bank.accounts[0]))
        took_s = time.monotonic() - began
    finally:
        for pid in victims:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
    assert call.status == 503, f"expected 503 from a database that does not answer: {call}"
    assert took_s < scaled(6.5), f"expected an answer after 5 s, it took {took_s:.1f} s"
    assert call.answer["type"].endswith(("outcome_unknown", "unavailable")), call
    wait_until(lambda: bank.service.probe("/readyz") == 200, "the service is ready again", 15)
    assert bank.check([call]) == 1
    told(capsys, f"a frozen PostgreSQL ({took_s:.1f} s)", [call], 1)


def test_restart_on_the_same_data_shows_the_same(bank):
    user, account = bank.users[0], bank.accounts[0]
    before, rows = user.balance(account), user.rows(account)
    bank.service.stop()
    bank.service.start()
    assert (user.balance(account), user.rows(account)) == (before, rows)
