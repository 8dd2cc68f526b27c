#!/usr/bin/env python3
"""Random damage to books: does `ledger_report check --full` tell right from wrong as check_invariants.sql does?

    /usr/bin/python3 tests/api/damage.py [--rounds N] [--seed N]

A wallet_api makes books, plain ones and some in five currencies. Each round damages a copy of them by one to
three random changes of journal, snapshots or accounts, some of which undo each other, with all triggers off; then
both judge. It ends with 1 when they disagree, and prints the round's statements. It works on a PostgreSQL of its
own in a temporary folder and never touches another one."""

import argparse
import random
import secrets
import sys
import tempfile
from pathlib import Path

import psycopg

from support.books import CURRENCIES, Books, make_currencies, run_tool
from support.cluster import Cluster
from support.databases import Database, Databases, check_invariants
from support.service import Service

ENTRY = "(ledger_id, account_id, seq) = (1, '{account_id}', {seq})"


class Damage:
    """Random statements against rows that were there before."""

    def __init__(self, source, database):
        self.random = source
        with database.connect() as connection:
            connection.row_factory = psycopg.rows.dict_row
            self.entries, self.transactions, self.balances = (
                connection.execute(f"SELECT * FROM ledger.{table} WHERE {where} ORDER BY 1, 2, 3").fetchall()
                for table, where in (("entry", "true"), ("transaction", "true"), ("balance", "entries > 0")))
        self.kinds = [getattr(self, name) for name in dir(self) if name.startswith("do_")]

    def entry(self):
        return self.random.choice(self.entries)

    def delta(self):
        return self.random.choice([-1, 1]) * self.random.choice([1, 1, 2, 10, 10 ** 9])

    def update(self, what, entry):
        return f"UPDATE ledger.entry SET {what} WHERE " + ENTRY.format(**entry)

    def do_amount(self):
        return [self.update(f"amount = amount + {self.delta()}", self.entry())]

    def do_balance_after(self):
        return [self.update(f"balance_after = balance_after + {self.delta()}", self.entry())]

    def do_two_balances(self):
        delta = self.delta()
        return [self.update(f"balance_after = balance_after + {d}", self.entry()) for d in (delta, -delta)]

    def do_negate(self):
        column = self.random.choice(["amount", "balance_after"])
        return [self.update(f"{column} = -{column}", self.entry())]

    def do_turn_transaction(self):
        return [f"UPDATE ledger.entry SET amount = -amount, balance_after = balance_after - 2 * amount"
                f" WHERE transaction_id = '{self.entry()['transaction_id']}'"]

    def do_move_entry(self):
        return [self.update(f"transaction_id = '{self.entry()['transaction_id']}'", self.entry())]

    def do_swap_transactions(self):
        one, two = self.entry(), self.entry()
        return [self.update(f"transaction_id = '{two['transaction_id']}'", one),
                self.update(f"transaction_id = '{one['transaction_id']}'", two)]

    def do_other_account(self):
        other = self.random.choice(self.balances)
        return [self.update(f"account_id = '{other['account_id']}', seq = {other['entries'] + 1}", self.entry())]

    def do_seq(self):
        return [self.update(f"seq = seq + {self.random.choice([1000, 10 ** 12])}", self.entry())]

    def do_drop_entry(self):
        return ["DELETE FROM ledger.entry WHERE " + ENTRY.format(**self.entry())]

    def do_drop_transaction(self):
        return [f"DELETE FROM ledger.transaction WHERE id = '{self.entry()['transaction_id']}'"]

    def do_drop_posting(self):
        """A transaction and all its entries: only the accounts can tell."""
        gone = self.entry()["transaction_id"]
        return [f"DELETE FROM ledger.entry WHERE transaction_id = '{gone}'",
                f"DELETE FROM ledger.transaction WHERE id = '{gone}'"]

    def do_snapshot(self):
        what = self.random.choice([f"posted = posted + {self.delta()}", "entries = entries + 1", "held = 1"])
        return [f"UPDATE ledger.balance SET {what}"
                f" WHERE account_id = '{self.random.choice(self.balances)['account_id']}'"]

    def do_two_snapshots(self):
        delta = self.delta()
        return [f"UPDATE ledger.balance SET posted = posted + {d} WHERE account_id ="
                f" '{self.random.choice(self.balances)['account_id']}'" for d in (delta, -delta)]

    def do_currency(self):
        return [f"UPDATE ledger.account SET asset = '{self.random.choice(['RUB', 'USD', 'JPY'])}'"
                f" WHERE id = '{self.random.choice(self.balances)['account_id']}'"]

    def do_floor(self):
        floor = self.random.choice(["NULL", "-5", "5", "0"])
        return [f"UPDATE ledger.account SET floor = {floor}"
                f" WHERE id = '{self.random.choice(self.balances)['account_id']}'"]

    def do_class(self):
        return [f"UPDATE ledger.account SET class = '{self.random.choice(['asset', 'liability', 'income'])}'"
                f" WHERE id = '{self.random.choice(self.balances)['account_id']}'"]

    def do_nothing(self):
        return []

    def statements(self):
        return [statement for _ in range(self.random.randint(1, 3)) for statement in self.random.choice(self.kinds)()]


def copy_of(server, database, name):
    with server.connect("postgres") as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {database.name} OWNER wallet_owner")
    return Database(server, "wallet", name, database.passwords)


def apply(database, statements):
    """False if the table itself refuses (a key twice)."""
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        try:
            with connection.transaction():
                for statement in statements:
                    connection.execute(statement)
        except psycopg.errors.IntegrityError:
            return False
    return True


def invariants_hold(database):
    try:
        check_invariants(database)
    except AssertionError:
        return False
    return True


def make_books(databases, folder, seed, plain):
    database = databases.copy("wallet")
    make_currencies(database)
    secret = secrets.token_hex(32)
    service = Service("wallet_api", {**database.environment(), "JWT_SECRET": secret}, folder).start()
    try:
        books = Books(service, secret, seed)
        if plain:
            books.accounts = {account: of for account, of in books.accounts.items() if of[1] == "RUB"}
        books.happen(120 if plain else 40 * len(CURRENCIES))
        books.close()
    finally:
        service.stop()
    return database


def judge(server, database, damage, rounds):
    """(rounds that were judged, those found wrong, disagreements)"""
    judged, wrong, disagreements = 0, 0, []
    while judged < rounds:
        statements = damage.statements()
        copy = copy_of(server, database, "damaged")
        if not apply(copy, statements):
            continue
        run = run_tool(copy, "check", "--full", "--no-record")
        holds = invariants_hold(copy)
        judged += 1
        wrong += not holds
        if run.returncode != (0 if holds else 1):
            disagreements.append((statements, holds, run))
            print(f"DISAGREE: invariants hold: {holds}, check: {run}\n  " + ";\n  ".join(statements), flush=True)
    return judged, wrong, disagreements


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300, metavar="N", help="(%(default)s)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10 ** 6), metavar="N")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    source = random.Random(arguments.seed)
    server, failed = Cluster().create(), False
    try:
        databases = Databases(server)
        with tempfile.TemporaryDirectory() as folder:
            for plain in (True, False):
                database = make_books(databases, Path(folder) / str(plain), arguments.seed, plain)
                judged, wrong, disagreements = judge(server, database, Damage(source, database), arguments.rounds // 2)
                failed = failed or bool(disagreements)
                print(f"{'plain books' if plain else 'five currencies'}: {judged} rounds, {wrong} of them damaged,"
                      f" {len(disagreements)} disagreements", flush=True)
    finally:
        server.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
