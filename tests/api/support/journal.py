"""What the journal says about the keys that clients sent."""

from collections import Counter

# A wallet is a liability: the owner's balance is -balance_after, in minor units.
ENTRIES_OF_KEYS = """
    SELECT t.idempotency_key, t.id::text, e.account_id::text, e.amount, e.balance_after
      FROM ledger.transaction t
      JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id
     WHERE t.idempotency_key = ANY(%s)
"""


def transactions_of(database, keys):
    """How many transactions each key has."""
    rows = database.query("SELECT idempotency_key FROM ledger.transaction"
                          " WHERE idempotency_key = ANY(%s)", (list(keys),))
    return Counter(key for key, in rows)


def rubles(minor):
    sign, minor = ("-", -minor) if minor < 0 else ("", minor)
    return f"{sign}{minor // 100}.{minor % 100:02}"


def assert_calls_are_told_true(database, calls):
    """Every call answered with 200 is in the journal exactly once with the balance it was told;
    every call answered with a 4xx (but for 409) is not there at all."""
    keys = [call.key for call in calls]
    assert len(set(keys)) == len(keys), "the test itself used a key twice"
    found = transactions_of(database, keys)
    after = {}
    for key, _, account, _, balance_after in database.query(ENTRIES_OF_KEYS, (keys,)):
        after[key, account] = rubles(-int(balance_after))
    for call in calls:
        count = found.get(call.key, 0)
        if call.status == 200:
            assert count == 1, f"expected one transaction for {call}, the journal has {count}"
            own = call.body.get("account_id") or call.body["from_account_id"]
            assert call.answer["new_balance"] == after[call.key, own], (
                f"expected the balance of the journal {after[call.key, own]} in {call}")
        elif call.status is not None and 400 <= call.status < 500 and call.status != 409:
            assert count == 0, f"expected no transaction for {call}, the journal has {count}"
        else:
            assert count <= 1, f"expected at most one transaction for {call}: {count}"
