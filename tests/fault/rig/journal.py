"""The journal as rows in memory, read from PostgreSQL through psql."""

import os
import subprocess
from collections import namedtuple

from support.settings import REPO

from rig.history import Request

Leg = namedtuple("Leg", "account seq amount balance_after")  # account: number in Journal.accounts

ACCOUNTS = """SELECT id, owner_id, asset, class, code, floor FROM ledger.account
               WHERE owner_id IS NOT NULL OR id IN (SELECT account_id FROM ledger.entry)"""
TRANSACTIONS = """SELECT id, kind, principal, idempotency_key,
                  to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
                  FROM ledger.transaction"""
ENTRIES = """SELECT account_id, seq, transaction_id, amount, balance_after FROM ledger.entry
              ORDER BY account_id, seq"""


class JournalAccount:
    __slots__ = ("id", "owner", "asset", "sign", "settlement", "floor")

    def __init__(self, row):
        self.id, self.owner, self.asset, kind, code, floor = row
        self.sign = 1 if kind in ("asset", "expense") else -1  # own side = sign * posted
        self.settlement = code.startswith("assets:settlement:")
        self.floor = None if floor is None else int(floor)


class Transaction:
    __slots__ = ("id", "kind", "principal", "key", "created_at", "legs",
                 "begun", "known", "lower", "upper", "order")

    def __init__(self, row):
        self.id, self.kind, self.principal, self.key, self.created_at = row
        self.legs = []
        self.begun = None  # when it was asked for, at the earliest
        self.known = None  # when somebody had been told of it, at the latest
        self.lower = self.upper = None  # it was committed after / before; see model.py
        self.order = None

    def leg_of(self, account):
        """The leg on that account, or None."""
        for leg in self.legs:
            if leg.account == account:
                return leg
        return None


class Journal:
    def __init__(self, accounts, transactions, entries):
        self.accounts = [JournalAccount(row) for row in accounts]
        self.number_of = {account.id: number for number, account in enumerate(self.accounts)}
        self.transactions = [Transaction(row) for row in transactions]
        self.by_id = {one.id: one for one in self.transactions}
        self.orphans = []  # entries without a transaction or an account
        self.chains = [[] for _ in self.accounts]  # per account its transactions, by seq
        self.legs = [[] for _ in self.accounts]
        for account_id, seq, transaction_id, amount, balance_after in entries:
            number, transaction = self.number_of.get(account_id), self.by_id.get(transaction_id)
            if number is None or transaction is None:
                self.orphans.append((account_id, seq, transaction_id))
                continue
            leg = Leg(number, int(seq), int(amount), int(balance_after))
            transaction.legs.append(leg)
            self.chains[number].append(transaction)
            self.legs[number].append(leg)

    def request_of(self, transaction, setup):
        """The Request that this transaction carries out, or None when its legs are no such thing.
        Numbers of the accounts are those of the setup."""
        if len(transaction.legs) != 2:
            return None
        plus, minus = sorted(transaction.legs, key=lambda leg: leg.amount, reverse=True)
        if plus.amount + minus.amount != 0 or plus.amount <= 0:
            return None
        debited, credited = self.accounts[plus.account], self.accounts[minus.account]
        numbers = setup.number_of
        if transaction.kind == "deposit" and debited.settlement and credited.id in numbers:
            return Request("deposit", numbers[credited.id], None, plus.amount)
        if transaction.kind == "withdraw" and credited.settlement and debited.id in numbers:
            return Request("withdraw", numbers[debited.id], None, plus.amount)
        if transaction.kind == "transfer" and debited.id in numbers and credited.id in numbers:
            return Request("transfer", numbers[debited.id], numbers[credited.id], plus.amount)
        return None


def load(database):
    return Journal(rows(database, ACCOUNTS), rows(database, TRANSACTIONS), rows(database, ENTRIES))


def psql(database, *arguments):
    """A running psql whose output is the query's, and nothing else."""
    server = database.server
    return subprocess.Popen(
        ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", "-h", str(server.host),
         "-p", str(server.port), "-U", server.user, "-d", database.name, *arguments],
        stdout=subprocess.PIPE, text=True, encoding="utf-8",
        env={"PATH": os.environ["PATH"], "PGPASSWORD": server.password})


def lines(process):
    with process:
        for line in process.stdout:
            yield line[:-1]
    if process.returncode != 0:
        raise RuntimeError(f"psql ended with {process.returncode}")


def rows(database, query):
    """Tuples of texts and None. No column asked for has a tab, a newline or a backslash in it."""
    for line in lines(psql(database, "-c", f"COPY ({query}) TO STDOUT")):
        yield [None if text == "\\N" else text for text in line.split("\t")]


def check_invariants(database, report):
    """tests/db/check_invariants.sql: INV1 to INV8, proven by the database."""
    path = REPO / "tests" / "db" / "check_invariants.sql"
    for line in lines(psql(database, "-f", str(path))):
        report.add(f"{line[:4]} (check_invariants.sql)", path.name, "no row", line)
