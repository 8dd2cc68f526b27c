"""What a report reads, by EXPLAIN (ANALYZE, BUFFERS), while the journal grows to the tenfold."""

import json
import uuid

import pytest

from support.books import sql_of

SMALL, LARGE = 2_000, 20_000
TYPES = ("integer, timestamptz, timestamptz, timestamptz, text, boolean, text, integer, bigint, text,"
         " uuid")

# Deposits one millisecond apart, all to one wallet, as the service would write them.
GROW = """
WITH given AS (
    SELECT l.id AS ledger_id, w.id AS wallet, s.id AS settlement, b.entries AS before, n,
           gen_random_uuid() AS transaction_id
      FROM ledger.ledger l
      JOIN ledger.account w ON w.ledger_id = l.id AND w.id = %(wallet)s::uuid
      JOIN ledger.account s ON s.ledger_id = l.id AND s.code = 'assets:settlement:RUB'
      JOIN ledger.balance b ON b.ledger_id = l.id AND b.account_id = w.id
     CROSS JOIN generate_series(1, %(count)s::integer) n),
t AS (
    INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, request_digest,
                                    created_at, effective_at)
    SELECT ledger_id, transaction_id, 'deposit', wallet, transaction_id::text, sha256('x'),
           '2026-11-24Z'::timestamptz + interval '1 ms' * (before + n),
           '2026-11-24Z'::timestamptz + interval '1 ms' * (before + n) FROM given ORDER BY n),
e AS (
    INSERT INTO ledger.entry
    SELECT ledger_id, account, before + n, transaction_id, amount, amount * (before + n)
      FROM given, LATERAL (VALUES (settlement, 100), (wallet, -100)) v (account, amount) ORDER BY n)
UPDATE ledger.balance b
   SET entries = entries + %(count)s,
       posted = posted + CASE WHEN b.account_id = %(wallet)s::uuid THEN -100 ELSE 100 END * %(count)s
  FROM (SELECT DISTINCT ledger_id, wallet, settlement FROM given) g
 WHERE b.ledger_id = g.ledger_id AND b.account_id IN (g.wallet, g.settlement)
"""


class Journal:
    def __init__(self, database):
        self.database = database
        self.connection = database.connect()
        self.connection.execute("SET plan_cache_mode = force_custom_plan; SET jit = off")
        self.wallet = str(uuid.uuid4())
        self.connection.execute("""
            WITH w AS (
                INSERT INTO ledger.account (ledger_id, id, owner_id, asset, class, code, floor)
                SELECT id, %(id)s::uuid, %(id)s::uuid, 'RUB', 'liability', 'liabilities:wallets:' || %(id)s::uuid, 0
                  FROM ledger.ledger WHERE name = 'main' RETURNING ledger_id, id)
            INSERT INTO ledger.balance (ledger_id, account_id) SELECT ledger_id, id FROM w""",
                                {"id": self.wallet})
        self.ledger = self.connection.execute(
            "SELECT id FROM ledger.ledger WHERE name = 'main'").fetchone()[0]

    def grow(self, count):
        self.connection.execute(GROW, {"wallet": self.wallet, "count": count})
        self.connection.execute("VACUUM ANALYZE ledger.transaction, ledger.entry, ledger.balance,"
                                " ledger.account")

    def explain(self, *files, as_of=None, start=None, end=None, account=None, depth=2, limit=None,
                after=None):
        """(buffers, plan as text) of a report."""
        text = sql_of(files[-1], *files[:-1])
        values = [self.ledger, as_of, start, end, None, False, account, depth, limit, after, None]
        words = ", ".join("NULL" if value is None else f"'{value}'" for value in values)
        self.connection.execute(f"PREPARE report ({TYPES}) AS {text}")
        plan = self.connection.execute(
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE report ({words})").fetchone()[0][0]
        self.connection.execute("DEALLOCATE report")
        top = plan["Plan"]
        return top["Shared Hit Blocks"] + top["Shared Read Blocks"], plan

    def reports(self, entries):
        last = f"2026-11-24T00:00:{entries / 1000 - 0.05:06.3f}Z"
        middle = f"2026-11-24T00:00:{entries / 2000:06.3f}Z"
        return {
            "trial balance": self.explain("trial_balance"),
            "balance sheet": self.explain("balance_sheet"),
            "customer balances": self.explain("customer_balances", limit=100),
            "trial balance, a while ago": self.explain("trial_balance", as_of=last),
            "page of a statement": self.explain("statement", start=middle, account=self.wallet,
                                                limit=20),
            "page of the journal": self.explain("journal", start=middle, limit=20),
        }


@pytest.fixture(scope="module")
def measured(databases):
    journal = Journal(databases.copy("wallet"))
    journal.grow(SMALL)
    small = journal.reports(SMALL)
    journal.grow(LARGE - SMALL)
    large = journal.reports(LARGE)
    journal.connection.close()
    return small, large


def executed(plan):
    """Names of the tables that were read."""
    found = set()

    def walk(node):
        if node.get("Actual Loops", 0) > 0 and "Relation Name" in node:
            found.add(node["Relation Name"])
        for child in node.get("Plans", []):
            walk(child)

    walk(plan["Plan"])
    return found


@pytest.mark.parametrize("name", ["trial balance", "balance sheet", "customer balances"])
def test_the_present_costs_accounts_not_entries(measured, name):
    small, large = (of[name] for of in measured)
    assert not executed(large[1]) & {"transaction", "entry"}, json.dumps(large[1])
    assert large[0] <= small[0] * 1.5 + 10, f"{name}: {small[0]} buffers, then {large[0]}"


@pytest.mark.parametrize("name, most", [("trial balance, a while ago", 500),
                                        ("page of a statement", 250),
                                        ("page of the journal", 700)])
def test_a_moment_costs_what_is_near_it(measured, name, most):
    small, large = (of[name] for of in measured)
    assert large[0] <= most, f"{name}: {small[0]} buffers, then {large[0]}: {json.dumps(large[1])}"
