-- The books, proven from the rows alone: one row per kind of violation (kind, first five places, how many),
-- no row when the books are right. It reads only, takes no lock, sees one snapshot, and needs no more than
-- the service's rights:
--
--     psql -X -v ON_ERROR_STOP=1 -At -d wallet_db -f tests/db/check_invariants.sql   # output is failure
--
-- The numbers are those of INV1 to INV8; migrations/README.md tells who enforces each.
\set QUIET on

-- Tables are read from end to end, each entry twice; no index is believed.
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
SET enable_mergejoin = off;
SET jit = off;
SET work_mem = '64MB';

WITH own_side AS (
    -- How an account's owner counts: a credit is what a liability, equity or income account has.
    SELECT ledger_id, id, asset, floor,
           CASE WHEN class IN ('asset', 'expense') THEN 1 ELSE -1 END AS sign
      FROM ledger.account
), by_account AS MATERIALIZED (
    SELECT ledger_id, account_id, sum(amount) AS amount, count(*) AS entries, max(seq) AS last_seq,
           min(balance_after) AS least, max(balance_after) AS most,
           min(seq) FILTER (WHERE seq <> previous_seq + 1) AS out_of_order,
           min(seq) FILTER (WHERE balance_after <> previous_balance + amount) AS out_of_balance
      FROM (SELECT ledger_id, account_id, seq, amount, balance_after,
                   lag(seq, 1, 0::bigint) OVER in_order AS previous_seq,
                   lag(balance_after, 1, 0::numeric) OVER in_order AS previous_balance
              FROM ledger.entry
            WINDOW in_order AS (PARTITION BY ledger_id, account_id ORDER BY seq)) chained
     GROUP BY ledger_id, account_id
), by_transaction AS MATERIALIZED (
    SELECT e.ledger_id, e.transaction_id, o.asset, sum(e.amount) AS amount, count(*) AS entries
      FROM ledger.entry e
      LEFT JOIN own_side o ON o.ledger_id = e.ledger_id AND o.id = e.account_id
     GROUP BY e.ledger_id, e.transaction_id, o.asset
), violation (kind, place) AS (
    SELECT 'INV1 entries of a transaction do not sum to zero',
           format('ledger %s transaction %s %s: %s', ledger_id, transaction_id, asset, amount)
      FROM by_transaction
     WHERE amount <> 0
    UNION ALL
    SELECT CASE WHEN t.id IS NULL THEN 'INV6 entries have no transaction'
                ELSE 'INV1 a transaction has fewer than two entries' END,
           format('ledger %s transaction %s: %s', coalesce(t.ledger_id, e.ledger_id),
                  coalesce(t.id, e.transaction_id), coalesce(e.entries, 0))
      FROM ledger.transaction t
      FULL JOIN (SELECT ledger_id, transaction_id, sum(entries) AS entries
                   FROM by_transaction
                  GROUP BY ledger_id, transaction_id) e
           ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id
     WHERE t.id IS NULL OR coalesce(e.entries, 0) < 2
    UNION ALL
    SELECT 'INV2 all entries of an asset do not sum to zero',
           format('ledger %s %s: %s', ledger_id, asset, sum(amount))
      FROM by_transaction
     GROUP BY ledger_id, asset
    HAVING sum(amount) <> 0
    UNION ALL
    SELECT 'INV2 all snapshots of an asset do not sum to zero',
           format('ledger %s %s: %s', b.ledger_id, o.asset, sum(b.posted))
      FROM ledger.balance b
      LEFT JOIN own_side o ON o.ledger_id = b.ledger_id AND o.id = b.account_id
     GROUP BY b.ledger_id, o.asset
    HAVING sum(b.posted) <> 0
    UNION ALL
    SELECT 'INV3 a snapshot is not the sum of its entries',
           format('ledger %s account %s: posted %s of %s, entries %s of %s', ledger_id, account_id,
                  b.posted, coalesce(a.amount, 0), b.entries, coalesce(a.entries, 0))
      FROM ledger.balance b
      FULL JOIN by_account a USING (ledger_id, account_id)
     WHERE b.posted IS DISTINCT FROM coalesce(a.amount, 0)
        OR b.entries IS DISTINCT FROM coalesce(a.entries, 0)
        OR b.entries IS DISTINCT FROM coalesce(a.last_seq, 0)
    UNION ALL
    SELECT 'INV3 an account has no snapshot', format('ledger %s account %s', a.ledger_id, a.id)
      FROM ledger.account a
     WHERE NOT EXISTS (SELECT FROM ledger.balance b
                        WHERE b.ledger_id = a.ledger_id AND b.account_id = a.id)
    UNION ALL
    SELECT 'INV4 an account''s entries are not numbered 1, 2, 3',
           format('ledger %s account %s: from seq %s on', ledger_id, account_id, out_of_order)
      FROM by_account
     WHERE out_of_order IS NOT NULL
    UNION ALL
    SELECT 'INV4 balance_after is not the balance before and the amount',
           format('ledger %s account %s: from seq %s on', ledger_id, account_id, out_of_balance)
      FROM by_account
     WHERE out_of_balance IS NOT NULL
    UNION ALL
    SELECT 'INV5 a balance was below the floor',
           format('ledger %s account %s: %s', a.ledger_id, a.account_id,
                  CASE WHEN o.sign > 0 THEN a.least ELSE -a.most END)
      FROM by_account a
      JOIN own_side o ON o.ledger_id = a.ledger_id AND o.id = a.account_id
     WHERE CASE WHEN o.sign > 0 THEN a.least ELSE -a.most END < o.floor
    UNION ALL
    SELECT 'INV5 what is available is below the floor',
           format('ledger %s account %s: %s', b.ledger_id, b.account_id, o.sign * b.posted - b.held)
      FROM ledger.balance b
      JOIN own_side o ON o.ledger_id = b.ledger_id AND o.id = b.account_id
     WHERE o.sign * b.posted - b.held < o.floor
    UNION ALL
    SELECT 'INV6 entries have no account',
           format('ledger %s account %s: %s', e.ledger_id, e.account_id, e.entries)
      FROM by_account e
     WHERE NOT EXISTS (SELECT FROM ledger.account a
                        WHERE a.ledger_id = e.ledger_id AND a.id = e.account_id)
    UNION ALL
    SELECT 'INV6 an account has no asset', format('ledger %s account %s', a.ledger_id, a.id)
      FROM ledger.account a
     WHERE NOT EXISTS (SELECT FROM ledger.asset s
                        WHERE s.ledger_id = a.ledger_id AND s.code = a.asset)
    UNION ALL
    SELECT 'INV6 a transaction reverses none that exists',
           format('ledger %s transaction %s', t.ledger_id, t.id)
      FROM ledger.transaction t
     WHERE t.reverses IS NOT NULL
       AND NOT EXISTS (SELECT FROM ledger.transaction r
                        WHERE r.ledger_id = t.ledger_id AND r.id = t.reverses)
    UNION ALL
    -- There are no holds yet, so nothing can be held.
    SELECT 'INV7 held without a hold', format('ledger %s account %s: %s', ledger_id, account_id, held)
      FROM ledger.balance
     WHERE held <> 0
    UNION ALL
    SELECT 'INV8 a key was used twice',
           format('ledger %s principal %s key %s', ledger_id, principal, idempotency_key)
      FROM ledger.transaction
     GROUP BY ledger_id, principal, idempotency_key
    HAVING count(*) > 1
)
SELECT kind, (array_agg(place ORDER BY place))[1:5] AS first_places, count(*) AS places
  FROM violation
 GROUP BY kind
 ORDER BY kind;
