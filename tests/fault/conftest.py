"""Clusters, databases and services for the directed tests of this folder."""

import secrets

import pytest

import rig  # makes the helpers of tests/api importable
from support.api import User
from support.cluster import Cluster
from support.databases import Databases
from support.ports import free_port
from support.service import Service

from rig.journal import check_invariants
from rig.proxy import Proxy
from rig.report import Report

assert rig


@pytest.fixture(scope="session")
def cluster():
    """Private: these tests change its settings and kill it."""
    cluster = Cluster(max_wal_senders="4", log_min_messages="fatal").create()
    yield cluster
    cluster.stop()


@pytest.fixture(scope="session")
def databases(cluster):
    return Databases(cluster)


@pytest.fixture(scope="session")
def secret():
    return secrets.token_hex(24)


class Bank:
    """One wallet_api behind the proxy, on a database of its own."""

    def __init__(self, databases, secret, folder, **settings):
        self.secret = secret
        self.database = databases.copy("wallet")
        self.proxy = Proxy(databases.server.port, 1, free_port)
        self.service = Service("wallet_api", {
            **self.database.environment(), "POSTGRES_PORT": str(self.proxy.door_ports[0]),
            "JWT_SECRET": secret, "THREADS": "1", **settings}, folder).start()
        self.users = []

    def user(self):
        self.users.append(User(self.service, self.secret))
        return self.users[-1]

    def stop(self):
        for user in self.users:
            user.http.close()
        self.service.stop()
        self.proxy.stop()


@pytest.fixture
def make_bank(databases, secret, tmp_path):
    """Makes banks; after the test their books must be right."""
    banks = []

    def make(**settings):
        banks.append(Bank(databases, secret, tmp_path / str(len(banks)), **settings))
        return banks[-1]

    yield make
    for bank in banks:
        bank.stop()
        report = Report()
        check_invariants(bank.database, report)
        assert not report, "\n".join(report.lines())


@pytest.fixture
def bank(make_bank):
    return make_bank()
