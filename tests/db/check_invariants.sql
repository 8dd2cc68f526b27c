-- The books, proven from the rows alone: one row per kind of violation (kind, first five places, how many),
-- no row when the books are right. It reads only, takes no lock, sees one snapshot, and needs no more than
-- the service's rights:
--
--     psql -X -v ON_ERROR_STOP=1 -At -f tests/db/check_invariants.sql    # any output is a failure
--
-- The numbers are those of INV1 to INV8; migrations/README.md tells who enforces each.
WITH own_side AS (
    -- How an account's owner counts: a credit is what a liability, equity or income account has.
    SELECT ledger_id, id, asset, floor,
           CASE WHEN class IN ('asset', 'expense') THEN 1 ELSE -1 END AS sign
      FROM ledger.account
), chained AS (
    SELECT ledger_id, account_id, seq, amount, balance_after,
           lag(seq, 1, 0::bigint) OVER account_order AS previous_seq,
           lag(balance_after, 1, 0::numeric) OVER account_order AS previous_balance
      FROM ledger.entry
    WINDOW account_order AS (PARTITION BY ledger_id, account_id ORDER BY seq)
), summed AS (
    SELECT ledger_id, account_id, sum(amount) AS amount, count(*) AS entries, max(seq) AS last_seq
      FROM ledger.entry
     GROUP BY ledger_id, account_id
), violation (kind, place) AS (
    SELECT 'INV1 entries of a transaction do not sum to zero',
           format('ledger %s transaction %s %s: %s', e.ledger_id, e.transaction_id, o.asset, sum(e.amount))
      FROM ledger.entry e
      LEFT JOIN own_side o ON o.ledger_id = e.ledger_id AND o.id = e.account_id
     GROUP BY e.ledger_id, e.transaction_id, o.asset
    HAVING sum(e.amount) <> 0
    UNION ALL
    SELECT 'INV1 a transaction has fewer than two entries',
           format('ledger %s transaction %s: %s', t.ledger_id, t.id, count(e.seq))
      FROM ledger.transaction t
      LEFT JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id
     GROUP BY t.ledger_id, t.id
    HAVING count(e.seq) < 2
    UNION ALL
    SELECT 'INV2 all entries of an asset do not sum to zero',
           format('ledger %s %s: %s', s.ledger_id, o.asset, sum(s.amount))
      FROM summed s
      LEFT JOIN own_side o ON o.ledger_id = s.ledger_id AND o.id = s.account_id
     GROUP BY s.ledger_id, o.asset
    HAVING sum(s.amount) <> 0
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
                  b.posted, coalesce(s.amount, 0), b.entries, coalesce(s.entries, 0))
      FROM ledger.balance b
      FULL JOIN summed s USING (ledger_id, account_id)
     WHERE b.posted IS DISTINCT FROM coalesce(s.amount, 0)
        OR b.entries IS DISTINCT FROM coalesce(s.entries, 0)
        OR b.entries IS DISTINCT FROM coalesce(s.last_seq, 0)
    UNION ALL
    SELECT 'INV3 an account has no snapshot', format('ledger %s account %s', a.ledger_id, a.id)
      FROM ledger.account a
     WHERE NOT EXISTS (SELECT FROM ledger.balance b
                        WHERE b.ledger_id = a.ledger_id AND b.account_id = a.id)
    UNION ALL
    SELECT 'INV4 an account''s entries are not numbered 1, 2, 3',
           format('ledger %s account %s: %s after %s', ledger_id, account_id, seq, previous_seq)
      FROM chained
     WHERE seq <> previous_seq + 1
    UNION ALL
    SELECT 'INV4 balance_after is not the balance before and the amount',
           format('ledger %s account %s seq %s: %s and %s gave %s', ledger_id, account_id, seq,
                  previous_balance, amount, balance_after)
      FROM chained
     WHERE balance_after <> previous_balance + amount
    UNION ALL
    SELECT 'INV5 a balance was below the floor',
           format('ledger %s account %s seq %s: %s', e.ledger_id, e.account_id, e.seq,
                  o.sign * e.balance_after)
      FROM ledger.entry e
      JOIN own_side o ON o.ledger_id = e.ledger_id AND o.id = e.account_id
     WHERE o.sign * e.balance_after < o.floor
    UNION ALL
    SELECT 'INV5 what is available is below the floor',
           format('ledger %s account %s: %s', b.ledger_id, b.account_id, o.sign * b.posted - b.held)
      FROM ledger.balance b
      JOIN own_side o ON o.ledger_id = b.ledger_id AND o.id = b.account_id
     WHERE o.sign * b.posted - b.held < o.floor
    UNION ALL
    SELECT 'INV6 an entry has no transaction',
           format('ledger %s account %s seq %s', e.ledger_id, e.account_id, e.seq)
      FROM ledger.entry e
     WHERE NOT EXISTS (SELECT FROM ledger.transaction t
                        WHERE t.ledger_id = e.ledger_id AND t.id = e.transaction_id)
    UNION ALL
    SELECT 'INV6 an entry has no account',
           format('ledger %s account %s seq %s', e.ledger_id, e.account_id, e.seq)
      FROM ledger.entry e
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
