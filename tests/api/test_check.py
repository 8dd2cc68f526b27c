"""ledger_report check: every kind of damage is found and named while clients post, and nothing else ever is.

Damage is done as a superuser whose triggers are off, to accounts that nobody uses meanwhile, and undone
after each case, so that the books have to be found right again. Both ways of the proof are tried: books in
five currencies, and plain ones (check_shape.sql)."""

import re
import subprocess
import tempfile
import time
import uuid

import pytest

from support.api import User, assert_ok
from support.books import Reader, make_currencies, run_tool
from support.load import Load, money_body, transfer_body
from support.ports import free_port
from support.service import Service, base_environment
from support.settings import binary, scaled

CLIENTS = 2
FINDING = re.compile(r"^(\w+) \((INV\d|time)\): (\d+), first: (.+)$")


class Result:
    def __init__(self, run):
        self.status, self.error = run.returncode, run.stderr.decode()
        head, *lines = run.stdout.decode().splitlines() or [""]
        self.head = head
        self.findings = {}
        for line in lines:
            found = FINDING.match(line)
            assert found, f"expected a finding, got {line!r}"
            self.findings[found[1]] = (found[2], int(found[3]), found[4])

    def __repr__(self):
        return f"{self.status} {self.head!r} {self.findings} {self.error!r}"


class Ledger:
    """A wallet_api with customers who go on posting, and quiet accounts for the damage."""

    def __init__(self, database, secret, folder, currencies):
        self.database = database
        self.service = Service("wallet_api", {**database.environment(), "JWT_SECRET": secret}, folder).start()
        self.reader = Reader(self.service, secret)
        self.users = [User(self.service, secret) for _ in range(CLIENTS)]
        self.busy = [[user.account(funds="1000", currency=currency) for currency in currencies for _ in range(2)]
                     for user in self.users]
        owner = User(self.service, secret)
        self.a, self.b, self.c = (owner.account(funds="500") for _ in range(3))
        self.foreign = owner.account(funds="5", currency=currencies[-1]) if currencies[1:] else None
        self.unused = owner.account()
        for _ in range(5):
            assert_ok(owner.transfer(self.a, self.b, "7"))
            assert_ok(owner.transfer(self.b, self.a, "3"))
        self.quiet = [account for account in (self.a, self.b, self.c, self.foreign, self.unused) if account]
        self.turn = [0] * CLIENTS
        self.load = Load([self.service.port], [user.token for user in self.users], self.next_call).start()
        self.remember()

    def next_call(self, number):
        accounts, turn = self.busy[number], self.turn[number]
        self.turn[number] += 1
        time.sleep(0.005)  # a journal that grows too fast would make the checks slow
        if turn % 3 == 0:
            return "/wallet/deposit", money_body(accounts[turn % len(accounts)], "2")
        pair = turn % (len(accounts) // 2) * 2
        return "/wallet/transfer", transfer_body(accounts[pair], accounts[pair + 1])

    def close(self):
        calls = self.load.stop()
        self.reader.http.close()
        self.service.stop()
        return calls

    # ---- damage ----

    def connect(self):
        connection = self.database.connect()
        connection.execute("SET session_replication_role = replica")
        return connection

    def remember(self):
        with self.connect() as connection:
            connection.execute("CREATE SCHEMA kept")
            for table, rows in self.rows():
                connection.execute(f"CREATE TABLE kept.{table} AS SELECT * FROM ledger.{table} WHERE {rows}",
                                   {"quiet": self.quiet, "ids": self.ids(connection)})

    def rows(self):
        return (("account", "id = ANY (%(quiet)s::uuid[])"), ("balance", "account_id = ANY (%(quiet)s::uuid[])"),
                ("transaction", "id = ANY (%(ids)s::uuid[])"), ("entry", "account_id = ANY (%(quiet)s::uuid[])"))

    def ids(self, connection):
        return [row[0] for row in connection.execute(
            "SELECT DISTINCT transaction_id FROM ledger.entry WHERE account_id = ANY (%s::uuid[])",
            (self.quiet,)).fetchall()]

    def undo(self):
        with self.connect() as connection, connection.transaction():
            kept = [row[0] for row in connection.execute("SELECT id FROM kept.transaction").fetchall()]
            values = {"quiet": self.quiet, "ids": kept + self.ids(connection)}
            connection.execute("DELETE FROM ledger.transaction WHERE description = 'damage'")
            for table, rows in self.rows():
                connection.execute(f"DELETE FROM ledger.{table} WHERE {rows}", values)
                connection.execute(f"INSERT INTO ledger.{table} SELECT * FROM kept.{table}")

    def last(self, account):
        """(seq, transaction) of an account's last entry."""
        return self.database.query("SELECT seq, transaction_id FROM ledger.entry WHERE account_id = %s"
                                   " ORDER BY seq DESC LIMIT 1", (account,))[0]

    # ---- the tool ----

    def check(self, *arguments, **environment):
        return Result(run_tool(self.database, "check", *arguments, **environment))

    def must_be_clean(self, *arguments):
        result = self.check(*arguments)
        assert (result.status, result.findings, result.error) == (0, {}, ""), result
        assert result.head.endswith(": clean"), result
        return result


@pytest.fixture(scope="module", params=["five currencies", "plain"])
def ledger(request, databases, secret, folder):
    database = databases.copy("wallet")
    currencies = ["RUB"]
    if request.param != "plain":
        make_currencies(database)
        database.execute("SELECT ledger.create_ledger('second')")
        currencies = ["RUB", "JPY", "BHD", "BTC", "ETH"]
    ledger = Ledger(database, secret, folder / request.param.replace(" ", "-"), currencies)
    yield ledger
    calls = ledger.close()
    wrong = [call for call in calls if call.status not in (200, 503)]  # 503: the machine is busy
    assert ledger.load.succeeded() > 0 and not wrong, f"expected the postings to succeed: {wrong[:3]}"


def posting(legs, id="gen_random_uuid()", more=""):
    """SQL that books legs (account, amount, what balance_after is wrong by) on top of the snapshots, as the
    service would, but without asking anybody."""
    values = ", ".join(f"('{account}'::uuid, {amount}::numeric, {wrong}::numeric)" for account, amount, wrong in legs)
    return f"""
        WITH leg (account_id, amount, wrong) AS (VALUES {values}),
        t AS (INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, request_digest,
                                              description)
              SELECT 1, id, 'transfer', id, 'damage', sha256('x'), 'damage' FROM (SELECT {id} AS id) x
              RETURNING id),
        e AS (INSERT INTO ledger.entry (ledger_id, account_id, seq, transaction_id, amount, balance_after)
              SELECT 1, b.account_id, b.entries + 1, t.id, l.amount, b.posted + l.amount + l.wrong
                FROM t, leg l JOIN ledger.balance b ON b.ledger_id = 1 AND b.account_id = l.account_id)
        UPDATE ledger.balance b SET posted = b.posted + l.amount, entries = b.entries + 1
          FROM leg l WHERE b.ledger_id = 1 AND b.account_id = l.account_id; {more}"""


# name: (what is done, the finding that must be there, the place that it must name); {a}, {b}, {c}, {foreign} and
# {unused} are accounts, {tx} is the last transaction of a, {seq} its number there, {other} the last one of c.
DAMAGE = {
    "snapshot off by one": (
        "UPDATE ledger.balance SET posted = posted - 1 WHERE account_id = '{a}'",
        "snapshot_differs", "account {a}: posted "),
    "two snapshots off, which cancel": (
        "UPDATE ledger.balance SET posted = posted + CASE account_id WHEN '{a}' THEN -1 ELSE 1 END"
        " WHERE account_id IN ('{a}', '{b}')",
        "snapshot_differs", "account "),
    "snapshot counts one entry more": (
        "UPDATE ledger.balance SET entries = entries + 1 WHERE account_id = '{a}'",
        "snapshot_differs", "account {a}: "),
    "missing posting": (
        "DELETE FROM ledger.entry WHERE account_id = '{a}' AND seq = {seq}",
        "transaction_with_one_entry", "transaction {tx}: 1 entries"),
    "missing posting in the middle": (
        "DELETE FROM ledger.entry WHERE account_id = '{a}' AND seq = 3",
        "sequence_gap", "account {a}: from seq 4 on"),
    "duplicated posting": (
        "INSERT INTO ledger.entry SELECT ledger_id, account_id, seq + 1, transaction_id, amount,"
        " balance_after + amount FROM ledger.entry WHERE account_id = '{a}' AND seq = {seq};"
        " UPDATE ledger.balance SET entries = entries + 1, posted = (SELECT balance_after FROM ledger.entry"
        " WHERE account_id = '{a}' AND seq = {seq} + 1) WHERE account_id = '{a}'",
        "transaction_unbalanced", "transaction {tx}: its entries in RUB sum to "),
    "wrong currency": (
        "UPDATE ledger.account SET asset = 'USD' WHERE id = '{c}'",
        "transaction_unbalanced", "transaction {other}: its entries in "),
    "unknown currency": (
        "UPDATE ledger.account SET asset = 'ZZZ' WHERE id = '{unused}'",
        "account_without_asset", "account {unused}: ZZZ"),
    "transaction without entries": (
        "INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, request_digest, description)"
        " VALUES (1, '{new}', 'deposit', '{a}', 'damage', sha256('x'), 'damage')",
        "transaction_without_entries", "transaction {new}: 0 entries"),
    "entries without a transaction": (
        "DELETE FROM ledger.transaction WHERE id = '{tx}'",
        "entries_without_transaction", "transaction {tx}: 2 entries"),
    "held without a hold": (
        "UPDATE ledger.balance SET held = 1 WHERE account_id = '{a}'",
        "held_without_hold", "account {a}: held 1"),
    "gap in the numbers": (
        "UPDATE ledger.entry SET seq = seq + 1 WHERE account_id = '{a}' AND seq = {seq};"
        " UPDATE ledger.balance SET entries = entries + 1 WHERE account_id = '{a}'",
        "sequence_gap", "account {a}: from seq {next} on"),
    "wrong running balance": (
        "UPDATE ledger.entry SET balance_after = balance_after - 1 WHERE account_id = '{a}' AND seq = 4",
        "running_balance", "account {a}: from seq 4 on"),
    "two wrong running balances, which cancel": (
        "UPDATE ledger.entry SET balance_after = balance_after + CASE seq WHEN 4 THEN -1 ELSE 1 END"
        " WHERE account_id = '{a}' AND seq IN (4, 6)",
        "running_balance", "account {a}: from seq 4 on"),
    "running balance with the other sign": (
        "UPDATE ledger.entry SET balance_after = -balance_after WHERE account_id = '{a}' AND seq = 4",
        "running_balance", "account {a}: from seq 4 on"),
    "transaction turned round": (
        "UPDATE ledger.entry SET amount = -amount WHERE transaction_id = '{tx}'",
        "running_balance", "account "),
    "transaction in a ledger that does not exist": (
        "INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, request_digest, description)"
        " VALUES (77, '{new}', 'deposit', '{a}', 'damage', sha256('x'), 'damage')",
        "transaction_without_ledger", "ledger 77, transaction {new}"),
    "wrong amount": (
        "UPDATE ledger.entry SET amount = amount + 1 WHERE account_id = '{a}' AND seq = {seq}",
        "transaction_unbalanced", "transaction {tx}: its entries in RUB sum to "),
    "entries of two transactions exchanged": (
        "UPDATE ledger.entry SET transaction_id = CASE transaction_id WHEN '{tx}' THEN '{other}'::uuid"
        " ELSE '{tx}' END WHERE (account_id, transaction_id) IN (('{a}', '{tx}'), ('{c}', '{other}'))",
        "transaction_unbalanced", "transaction "),
    "below the floor for a moment": (
        lambda at: posting([(at["c"], 60000, 0), (at["b"], -60000, 0)]) + posting(
            [(at["c"], -60000, 0), (at["b"], 60000, 0)]),
        "was_below_floor", "account {c}: "),
    "below the floor": (
        lambda at: posting([(at["c"], 60000, 0), (at["b"], -60000, 0)]),
        "below_floor", "account {c}: available "),
    "floor raised": (
        "UPDATE ledger.account SET floor = 50100 WHERE id = '{c}'",
        "below_floor", "account {c}: available 50000, floor 50100"),
    "snapshot missing": (
        "DELETE FROM ledger.balance WHERE account_id = '{unused}'",
        "account_without_snapshot", "account {unused}"),
    "account missing": (
        "DELETE FROM ledger.account WHERE id = '{a}'",
        "entries_without_account", "account {a}: "),
    "snapshot without an account": (
        "INSERT INTO ledger.balance (ledger_id, account_id) VALUES (1, '{new}')",
        "snapshot_without_account", "account {new}: posted 0"),
    "reversal of nothing": (
        "UPDATE ledger.transaction SET reverses = '{new}' WHERE id = '{tx}'",
        "reversal_of_nothing", "transaction {tx} reverses {new}"),
    "key used twice": (
        "ALTER TABLE ledger.transaction DROP CONSTRAINT transaction_idempotency_key;"
        " UPDATE ledger.transaction t SET principal = o.principal, idempotency_key = o.idempotency_key"
        " FROM ledger.transaction o WHERE t.id = '{tx}' AND o.id = '{other}'",
        "key_used_twice", "principal "),
    "booked in the future": (
        "UPDATE ledger.transaction SET created_at = now() + interval '1 day' WHERE id = '{tx}'",
        "booked_in_the_future", "transaction {tx}: "),
    "entry in a ledger that does not exist": (
        "UPDATE ledger.entry SET ledger_id = 77 WHERE account_id = '{a}' AND seq = {seq}",
        "transaction_with_one_entry", "transaction {tx}: 1 entries"),
    "copy of an entry in a ledger that does not exist": (
        "INSERT INTO ledger.entry SELECT 77, account_id, seq, transaction_id, amount, balance_after FROM ledger.entry"
        " WHERE account_id = '{a}' AND seq = {seq}",
        "entry_without_ledger", "ledger 77, account {a}: seq {seq}"),
    "guard switched off": (
        "ALTER TABLE ledger.entry DISABLE TRIGGER entry_check",
        "guard_missing", "trigger entry_check"),
    "guard switched to replicas": (
        "ALTER TABLE ledger.transaction ENABLE REPLICA TRIGGER transaction_append_only",
        "guard_missing", "trigger transaction_append_only"),
}
AFTERWARDS = {
    "key used twice": (
        "UPDATE ledger.transaction t SET principal = k.principal, idempotency_key = k.idempotency_key"
        " FROM kept.transaction k WHERE k.id = t.id;"
        " ALTER TABLE ledger.transaction ADD CONSTRAINT transaction_idempotency_key"
        " UNIQUE (ledger_id, principal, idempotency_key)"),
    "guard switched off": "ALTER TABLE ledger.entry ENABLE TRIGGER entry_check",
    "guard switched to replicas": "ALTER TABLE ledger.transaction ENABLE TRIGGER transaction_append_only",
    "snapshot without an account": "DELETE FROM ledger.balance WHERE account_id = '{new}'",
    "copy of an entry in a ledger that does not exist": "DELETE FROM ledger.entry WHERE ledger_id = 77",
    "entry in a ledger that does not exist": "DELETE FROM ledger.entry WHERE ledger_id = 77",
}


def places(ledger):
    seq, tx = ledger.last(ledger.a)
    return {"a": ledger.a, "b": ledger.b, "c": ledger.c, "foreign": ledger.foreign, "unused": ledger.unused,
            "seq": seq, "next": seq + 1, "tx": str(tx), "other": str(ledger.last(ledger.c)[1]),
            "new": str(uuid.uuid4())}


def must_be_found(result, category, place):
    assert result.status == 1 and result.head.endswith(": differences"), result
    assert category in result.findings, result
    assert result.findings[category][2].startswith(place), f"expected {place!r}: {result}"


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_found_and_named_under_load(ledger, name):
    what, category, place = DAMAGE[name]
    at = places(ledger)
    with ledger.connect() as connection:
        connection.execute(what(at) if callable(what) else what.format(**at))
    try:
        result = ledger.check("--full", "--no-record")
    finally:
        with ledger.connect() as connection:
            connection.execute(AFTERWARDS.get(name, "SELECT").format(**at))
        ledger.undo()
    must_be_found(result, category, place.format(**at))
    ledger.must_be_clean("--full", "--no-record")


@pytest.mark.parametrize("ledger", ["five currencies"], indirect=True)
def test_two_postings_between_currencies_which_cancel_are_found(ledger):
    """Every sum over a currency is right then; only each of the transactions is not."""
    with ledger.connect() as connection:
        for amount in (-5, 5):
            connection.execute(posting([(ledger.a, amount, 0), (ledger.foreign, -amount, 0)]))
    try:
        result = ledger.check("--full", "--no-record")
    finally:
        ledger.undo()
    must_be_found(result, "transaction_unbalanced", "transaction ")
    assert result.findings["transaction_unbalanced"][1] == 4, result
    ledger.must_be_clean("--full", "--no-record")


# ---- what was recorded since the last good run ----

# name: (SQL, category, place); a posting of 1 from a to b is what is wrong somewhere.
FRESH = {
    "nothing wrong": ((("a", 1, 0), ("b", -1, 0)), "", None, None),
    "unbalanced": ((("a", 2, 0), ("b", -1, 0)), "", "transaction_unbalanced", "transaction {new}: its entries in RUB"),
    "one entry": ((("a", 1, 0),), "", "transaction_with_one_entry", "transaction {new}: 1 entries"),
    "wrong running balance": ((("a", 1, 5), ("b", -1, 0)), "", "running_balance", "account {a}: at seq {next}"),
    "wrong snapshot": ((("a", 1, 0), ("b", -1, 0)), "UPDATE ledger.balance SET posted = posted + 1"
                       " WHERE account_id = '{a}'", "snapshot_differs", "account {a}: posted "),
    "gap": ((("a", 1, 0), ("b", -1, 0)), "UPDATE ledger.entry SET seq = seq + 1 WHERE account_id = '{a}'"
            " AND transaction_id = '{new}'", "sequence_gap", "account {a}: before seq {after_next}"),
    "below the floor": ((("c", 60000, 0), ("b", -60000, 0)), "", "was_below_floor", "account {c}: -10000, floor 0"),
    "no entries": ((("a", 1, 0), ("b", -1, 0)), "DELETE FROM ledger.entry WHERE transaction_id = '{new}'",
                   "transaction_without_entries", "transaction {new}: 0 entries"),
    "in the future": ((("a", 1, 0), ("b", -1, 0)), "UPDATE ledger.transaction SET created_at = now() + interval '1 day'"
                      " WHERE id = '{new}'", "booked_in_the_future", "transaction {new}: "),
    "reversal of nothing": ((("a", 1, 0), ("b", -1, 0)), "UPDATE ledger.transaction SET reverses = '{a}'"
                            " WHERE id = '{new}'", "reversal_of_nothing", "transaction {new} reverses {a}"),
    "account missing": ((("a", 1, 0), ("b", -1, 0)), "DELETE FROM ledger.account WHERE id = '{a}'",
                        "entries_without_account", "account {a}: seq {next}"),
}


@pytest.mark.parametrize("ledger", ["five currencies"], indirect=True)
@pytest.mark.parametrize("name", FRESH)
def test_incremental_check_looks_at_what_is_new(ledger, name):
    legs, more, category, place = FRESH[name]
    ledger.must_be_clean("--full")
    at = {**places(ledger), "after_next": ledger.last(ledger.a)[0] + 2}
    with ledger.connect() as connection:
        connection.execute(posting([(at[account], amount, wrong) for account, amount, wrong in legs],
                                   id=f"'{at['new']}'::uuid", more=more.format(**at)))
    try:
        result = ledger.check("--no-record")
    finally:
        ledger.undo()
    assert ", incremental check: " in result.head, result
    if category is None:
        assert (result.status, result.findings) == (0, {}), result
    else:
        must_be_found(result, category, place.format(**at))


def test_history_of_runs_and_what_an_incremental_check_believes(ledger):
    """Damage to the past is out of its sight; once a full one has found it, nothing is believed until all is
    proven again. The route tells it to auditors."""
    ledger.must_be_clean("--full")
    at = places(ledger)
    with ledger.connect() as connection:
        connection.execute("UPDATE ledger.entry SET balance_after = balance_after - 1"
                           " WHERE account_id = %s AND seq = 4", (ledger.a,))
    try:
        believed = ledger.must_be_clean()
        found = ledger.check("--full")
        again = ledger.check()
    finally:
        ledger.undo()
    place = f"account {at['a']}: from seq 4 on"
    assert "incremental" in believed.head
    must_be_found(found, "running_balance", place)
    assert ", full check: " in again.head, f"expected nothing to be believed: {again}"
    must_be_found(again, "running_balance", place)
    assert ", full check: " in ledger.must_be_clean().head
    assert ", incremental check: " in ledger.must_be_clean().head

    runs = ledger.reader.report("reconciliation", limit=6)["lines"]
    assert [(run["mode"], run["state"]) for run in runs] == [
        ("incremental", "clean"), ("full", "clean"), ("full", "differences"), ("full", "differences"),
        ("incremental", "clean"), ("full", "clean")]
    assert [run["number"] for run in runs] == sorted((run["number"] for run in runs), reverse=True)
    assert f"running_balance (INV4): 2, first: {place}" in runs[3]["findings"], runs[3]
    assert runs[3]["differences"] >= 1 and runs[1]["differences"] == 0 and runs[1]["findings"] is None
    assert runs[1]["entries"] >= 2 * runs[1]["transactions"] > 0
    first, second = (ledger.reader.get("reconciliation", limit=1, after=after).json()
                     for after in (None, str(runs[0]["number"])))
    assert (first["lines"], second["lines"]) == (runs[:1], runs[1:2])


@pytest.mark.parametrize("ledger", ["five currencies"], indirect=True)
@pytest.mark.parametrize("roles, status", [(["auditor"], 200), (["operator"], 200), ([], 403)])
def test_runs_are_for_auditors_and_operators(ledger, secret, roles, status):
    reader = Reader(ledger.service, secret, roles=roles)
    assert reader.get("reconciliation").status_code == status
    reader.http.close()


# ---- no false alarm, nobody waits ----

def test_many_runs_in_a_row_under_load_find_nothing(ledger):
    before = ledger.load.succeeded()
    for _ in range(6):
        ledger.must_be_clean("--full", "--no-record")
        ledger.must_be_clean()
    assert ledger.load.succeeded() > before, "expected postings meanwhile"


def test_writer_in_progress_is_neither_waited_for_nor_missed(ledger):
    """It holds its locks while two checks run; what it wrote is looked at by the one after its COMMIT."""
    ledger.must_be_clean("--full")
    new = str(uuid.uuid4())
    with ledger.database.connect() as writer:
        writer.execute("SET session_replication_role = replica; BEGIN")
        writer.execute(posting([(ledger.a, 1, 5), (ledger.b, -1, 0)], id=f"'{new}'::uuid"))
        begun = time.monotonic()
        ledger.must_be_clean("--full")
        ledger.must_be_clean()
        assert time.monotonic() - begun < scaled(30)
        writer.execute("COMMIT")
    try:
        result = ledger.check("--no-record")
    finally:
        ledger.undo()
    assert ", incremental check: " in result.head
    must_be_found(result, "running_balance", f"account {ledger.a}: at seq ")


# ---- exit statuses ----

def test_it_could_not_run(databases):
    database = databases.copy("wallet")

    def error(**environment):
        result = Result(run_tool(database, "check", **environment))
        assert result.status == 2 and result.head == "", result
        return result.error

    assert "cannot be reached" in error(POSTGRES_PORT=str(free_port()))
    assert "password authentication failed" in error(POSTGRES_PASSWORD="not the password")
    assert "LEDGER_NAME" in error(LEDGER_NAME="nobody")
    with tempfile.TemporaryDirectory() as folder, open("/dev/full", "wb") as full:
        run = subprocess.run([binary("ledger_report"), "check"], cwd=folder, stdout=full, stderr=subprocess.PIPE,
                             env={**base_environment(), **database.environment()}, timeout=scaled(60))
    assert run.returncode == 2 and b"No space left" in run.stderr, run
    database.execute("SET session_replication_role = replica; DELETE FROM ledger.schema_version"
                     " WHERE version > 1")
    assert "schema" in error() and "deploy" in error()


def test_empty_books_are_right(databases):
    database = databases.copy("wallet")
    for arguments in (["--full"], []):
        result = Result(run_tool(database, "check", *arguments))
        assert (result.status, result.findings) == (0, {}), result


# ---- what the quick proofs leave to the thorough ones ----

@pytest.mark.parametrize("legs", [
    (("a", -10 ** 19, 0), ("b", 10 ** 19, 0)),  # beyond bigint
    (("a", -2, 0), ("b", 1, 0), ("c", 1, 0)),  # more than two legs
], ids=["large", "three legs"])
def test_rare_postings_are_proven_and_their_damage_is_found(ledger, legs):
    booked = posting([(getattr(ledger, account), amount, wrong) for account, amount, wrong in legs])
    try:
        with ledger.connect() as connection:
            connection.execute("UPDATE ledger.account SET floor = NULL WHERE id = %s", (ledger.b,))
            connection.execute(booked)
        ledger.must_be_clean("--full", "--no-record")
        with ledger.connect() as connection:
            connection.execute("UPDATE ledger.entry SET balance_after = balance_after + 1 WHERE account_id = %s"
                               " AND seq = 2", (ledger.a,))
        result = ledger.check("--full", "--no-record")
    finally:
        ledger.undo()
    must_be_found(result, "running_balance", f"account {ledger.a}: from seq 2 on")
    ledger.must_be_clean("--full", "--no-record")
