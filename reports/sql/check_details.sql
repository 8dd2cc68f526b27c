-- Every entry and transaction of a ledger looked at, when the proof did not succeed: $1 ledger. No index is
-- believed. Each row is a finding: category, invariant, how many, the first place.
WITH own_side AS (
    SELECT a.id, a.asset, a.floor, CASE WHEN a.class IN ('asset', 'expense') THEN 1 ELSE -1 END AS sign
      FROM ledger.account a
     WHERE a.ledger_id = $1::integer
),
chained AS (
    SELECT e.account_id, e.seq, e.amount, e.balance_after,
           lag(e.seq, 1, 0::bigint) OVER in_order AS previous_seq,
           lag(e.balance_after, 1, 0::numeric) OVER in_order AS previous_balance
      FROM ledger.entry e
     WHERE e.ledger_id = $1::integer
    WINDOW in_order AS (PARTITION BY e.account_id ORDER BY e.seq)
),
by_account AS MATERIALIZED (
    SELECT account_id, sum(amount) AS amount, count(*) AS entries, max(seq) AS last_seq,
           min(balance_after) AS least, max(balance_after) AS most,
           min(seq) FILTER (WHERE seq <> previous_seq + 1) AS out_of_order,
           count(*) FILTER (WHERE seq <> previous_seq + 1) AS gaps,
           min(seq) FILTER (WHERE balance_after <> previous_balance + amount) AS out_of_balance,
           count(*) FILTER (WHERE balance_after <> previous_balance + amount) AS breaks
      FROM chained
     GROUP BY account_id
),
by_transaction AS MATERIALIZED (
    SELECT e.transaction_id, o.asset, sum(e.amount) AS amount, count(*) AS entries
      FROM ledger.entry e
      LEFT JOIN own_side o ON o.id = e.account_id
     WHERE e.ledger_id = $1::integer
     GROUP BY e.transaction_id, o.asset
),
own_transaction AS (
    SELECT t.* FROM ledger.transaction t WHERE t.ledger_id = $1::integer
),
violation (category, invariant, places, place) AS (
    SELECT 'transaction_unbalanced', 'INV1', 1::bigint,
           format('transaction %s: its entries in %s sum to %s', transaction_id, asset, amount)
      FROM by_transaction
     WHERE amount <> 0
    UNION ALL
    SELECT CASE WHEN t.id IS NULL THEN 'entries_without_transaction'
                WHEN e.entries IS NULL THEN 'transaction_without_entries'
                ELSE 'transaction_with_one_entry' END,
           CASE WHEN t.id IS NULL OR e.entries IS NULL THEN 'INV6' ELSE 'INV1' END, 1,
           format('transaction %s: %s entries', coalesce(t.id, e.transaction_id), coalesce(e.entries, 0))
      FROM own_transaction t
      FULL JOIN (SELECT transaction_id, sum(entries) AS entries FROM by_transaction GROUP BY transaction_id) e
           ON e.transaction_id = t.id
     WHERE t.id IS NULL OR coalesce(e.entries, 0) < 2
    UNION ALL
    SELECT 'entries_unbalanced', 'INV2', 1, format('%s: all entries sum to %s', asset, sum(amount))
      FROM by_transaction
     GROUP BY asset
    HAVING sum(amount) <> 0
    UNION ALL
    SELECT 'snapshot_differs', 'INV3', 1,
           format('account %s: posted %s, its entries sum to %s; entries %s, there are %s',
                  coalesce(b.account_id, e.account_id), b.posted, coalesce(e.amount, 0), b.entries,
                  coalesce(e.entries, 0))
      FROM (SELECT * FROM ledger.balance WHERE ledger_id = $1::integer) b
      FULL JOIN by_account e ON e.account_id = b.account_id
     WHERE b.posted IS DISTINCT FROM coalesce(e.amount, 0)
        OR b.entries IS DISTINCT FROM coalesce(e.entries, 0)
        OR b.entries IS DISTINCT FROM coalesce(e.last_seq, 0)
    UNION ALL
    SELECT 'sequence_gap', 'INV4', gaps, format('account %s: from seq %s on', account_id, out_of_order)
      FROM by_account
     WHERE out_of_order IS NOT NULL
    UNION ALL
    SELECT 'running_balance', 'INV4', breaks, format('account %s: from seq %s on', account_id, out_of_balance)
      FROM by_account
     WHERE out_of_balance IS NOT NULL
    UNION ALL
    SELECT 'was_below_floor', 'INV5', 1,
           format('account %s: %s, floor %s', e.account_id,
                  CASE WHEN o.sign > 0 THEN e.least ELSE -e.most END, o.floor)
      FROM by_account e
      JOIN own_side o ON o.id = e.account_id
     WHERE CASE WHEN o.sign > 0 THEN e.least ELSE -e.most END < o.floor
    UNION ALL
    SELECT 'entries_without_account', 'INV6', e.entries, format('account %s: %s entries', e.account_id, e.entries)
      FROM by_account e
     WHERE NOT EXISTS (SELECT FROM own_side o WHERE o.id = e.account_id)
    UNION ALL
    SELECT 'key_used_twice', 'INV8', count(*), format('principal %s, key %s', principal, idempotency_key)
      FROM own_transaction
     GROUP BY principal, idempotency_key
    HAVING count(*) > 1
)
SELECT category, invariant, sum(places)::bigint, min(place)
  FROM violation
 GROUP BY category, invariant
 ORDER BY category
