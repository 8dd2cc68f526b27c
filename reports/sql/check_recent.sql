-- What was recorded since the last good run: $1 ledger, $2 its watermark, $3 a time before which nothing of it was
-- booked (so that block ranges can be left out). Entries before those are believed as far as the last run went;
-- every new one must go on from the one before it. The first row counts; the others are findings: category,
-- invariant, how many, the first place.
WITH recent AS MATERIALIZED (
    SELECT t.id, t.created_at, t.reverses
      FROM ledger.transaction t
     WHERE t.ledger_id = $1::integer AND t.recorded_xid >= $2::xid8 AND t.created_at >= $3::timestamptz
),
fresh AS MATERIALIZED (
    SELECT r.id AS transaction_id, e.account_id, e.seq, e.amount, e.balance_after, a.asset, a.floor,
           CASE WHEN a.class IN ('asset', 'expense') THEN 1 ELSE -1 END AS sign,
           CASE WHEN e.seq = 1 THEN 0::numeric ELSE p.balance_after END AS balance_before
      FROM recent r
     CROSS JOIN LATERAL (SELECT x.* FROM ledger.entry x
                          WHERE x.ledger_id = $1::integer AND x.transaction_id = r.id OFFSET 0) e
      LEFT JOIN LATERAL (SELECT x.asset, x.floor, x.class FROM ledger.account x
                          WHERE x.ledger_id = $1::integer AND x.id = e.account_id OFFSET 0) a ON true
      LEFT JOIN LATERAL (SELECT x.balance_after FROM ledger.entry x
                          WHERE x.ledger_id = $1::integer AND x.account_id = e.account_id
                            AND x.seq = e.seq - 1 OFFSET 0) p ON true
),
touched AS MATERIALIZED (
    SELECT f.account_id, b.posted, b.entries, l.seq AS last_seq, l.balance_after AS last_balance
      FROM (SELECT DISTINCT account_id FROM fresh) f
      LEFT JOIN LATERAL (SELECT x.posted, x.entries FROM ledger.balance x
                          WHERE x.ledger_id = $1::integer AND x.account_id = f.account_id OFFSET 0) b ON true
      LEFT JOIN LATERAL (SELECT x.seq, x.balance_after FROM ledger.entry x
                          WHERE x.ledger_id = $1::integer AND x.account_id = f.account_id
                          ORDER BY x.seq DESC LIMIT 1) l ON true
),
by_transaction AS (
    SELECT transaction_id, asset, sum(amount) AS amount FROM fresh GROUP BY transaction_id, asset
),
violation (category, invariant, place) AS (
    SELECT 'transaction_unbalanced', 'INV1',
           format('transaction %s: its entries in %s sum to %s', transaction_id, asset, amount)
      FROM by_transaction
     WHERE amount <> 0
    UNION ALL
    SELECT CASE WHEN count(f.seq) = 0 THEN 'transaction_without_entries' ELSE 'transaction_with_one_entry' END,
           CASE WHEN count(f.seq) = 0 THEN 'INV6' ELSE 'INV1' END,
           format('transaction %s: %s entries', r.id, count(f.seq))
      FROM recent r
      LEFT JOIN fresh f ON f.transaction_id = r.id
     GROUP BY r.id
    HAVING count(f.seq) < 2
    UNION ALL
    SELECT 'snapshot_differs', 'INV3',
           format('account %s: posted %s, its last entry says %s; entries %s, the last is %s', account_id, posted,
                  last_balance, entries, last_seq)
      FROM touched
     WHERE posted IS DISTINCT FROM last_balance OR entries IS DISTINCT FROM last_seq
    UNION ALL
    SELECT 'sequence_gap', 'INV4', format('account %s: before seq %s', account_id, min(seq))
      FROM fresh
     WHERE balance_before IS NULL
     GROUP BY account_id
    UNION ALL
    SELECT 'running_balance', 'INV4', format('account %s: at seq %s', account_id, min(seq))
      FROM fresh
     WHERE balance_after <> balance_before + amount
     GROUP BY account_id
    UNION ALL
    SELECT 'was_below_floor', 'INV5', format('account %s: %s, floor %s', account_id, sign * balance_after, floor)
      FROM fresh
     WHERE sign * balance_after < floor
    UNION ALL
    SELECT 'entries_without_account', 'INV6', format('account %s: seq %s', account_id, seq)
      FROM fresh
     WHERE asset IS NULL
)
(SELECT (SELECT count(*) FROM recent)::text, (SELECT count(*) FROM fresh)::text, NULL::bigint, NULL::text)
UNION ALL
(SELECT category, invariant, count(*), min(place) FROM violation GROUP BY category, invariant ORDER BY category)
