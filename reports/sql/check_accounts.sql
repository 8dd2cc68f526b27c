-- What a look at the accounts and at the database's own guards tells: $1 ledger. It costs the accounts
-- and the reversals.
-- Each row is a finding: category, invariant, how many, the first place. Which ledgers there are rows of is asked of
-- the indexes, from one ledger to the next.
WITH RECURSIVE entry_ledger (id) AS (
    (SELECT min(ledger_id) FROM ledger.entry)
    UNION ALL
    SELECT (SELECT min(e.ledger_id) FROM ledger.entry e WHERE e.ledger_id > l.id) FROM entry_ledger l WHERE l.id IS NOT NULL
),
transaction_ledger (id) AS (
    (SELECT min(ledger_id) FROM ledger.transaction)
    UNION ALL
    SELECT (SELECT min(t.ledger_id) FROM ledger.transaction t WHERE t.ledger_id > l.id)
      FROM transaction_ledger l WHERE l.id IS NOT NULL
),
own_side AS (
    SELECT a.id, a.asset, a.floor, CASE WHEN a.class IN ('asset', 'expense') THEN 1 ELSE -1 END AS sign
      FROM ledger.account a
     WHERE a.ledger_id = $1::integer
),
violation (category, invariant, place) AS (
    SELECT 'snapshots_unbalanced', 'INV2', format('%s: all snapshots sum to %s', o.asset, sum(b.posted))
      FROM ledger.balance b
      LEFT JOIN own_side o ON o.id = b.account_id
     WHERE b.ledger_id = $1::integer
     GROUP BY o.asset
    HAVING sum(b.posted) <> 0
    UNION ALL
    SELECT 'account_without_snapshot', 'INV3', format('account %s', o.id)
      FROM own_side o
     WHERE NOT EXISTS (SELECT FROM ledger.balance b WHERE b.ledger_id = $1::integer AND b.account_id = o.id)
    UNION ALL
    SELECT 'snapshot_without_account', 'INV6', format('account %s: posted %s', b.account_id, b.posted)
      FROM ledger.balance b
     WHERE b.ledger_id = $1::integer
       AND NOT EXISTS (SELECT FROM ledger.account a WHERE a.ledger_id = b.ledger_id AND a.id = b.account_id)
    UNION ALL
    SELECT 'account_without_asset', 'INV6', format('account %s: %s', o.id, o.asset)
      FROM own_side o
     WHERE NOT EXISTS (SELECT FROM ledger.asset s WHERE s.ledger_id = $1::integer AND s.code = o.asset)
    UNION ALL
    SELECT 'below_floor', 'INV5', format('account %s: available %s, floor %s', b.account_id,
                                         o.sign * b.posted - b.held, o.floor)
      FROM ledger.balance b
      JOIN own_side o ON o.id = b.account_id
     WHERE b.ledger_id = $1::integer AND o.sign * b.posted - b.held < o.floor
    UNION ALL
    -- There are no holds yet, so nothing can be held.
    SELECT 'held_without_hold', 'INV7', format('account %s: held %s', b.account_id, b.held)
      FROM ledger.balance b
     WHERE b.ledger_id = $1::integer AND b.held <> 0
    UNION ALL
    SELECT 'entry_without_ledger', 'INV6',
           (SELECT format('ledger %s, account %s: seq %s', e.ledger_id, e.account_id, e.seq)
              FROM ledger.entry e WHERE e.ledger_id = l.id ORDER BY e.account_id, e.seq LIMIT 1)
      FROM entry_ledger l
     WHERE l.id NOT IN (SELECT id FROM ledger.ledger)
    UNION ALL
    SELECT 'transaction_without_ledger', 'INV6',
           (SELECT format('ledger %s, transaction %s', t.ledger_id, t.id)
              FROM ledger.transaction t WHERE t.ledger_id = l.id ORDER BY t.id LIMIT 1)
      FROM transaction_ledger l
     WHERE l.id NOT IN (SELECT id FROM ledger.ledger)
    UNION ALL
    -- By its index: a transaction's time stands behind texts, and to read it there costs as much as all the rest.
    SELECT 'booked_in_the_future', 'time', format('transaction %s: %s', t.id, t.created_at)
      FROM ledger.transaction t
     WHERE t.ledger_id = $1::integer AND t.created_at > now() + interval '1 minute'
    UNION ALL
    SELECT 'reversal_of_nothing', 'INV6', format('transaction %s reverses %s', t.id, t.reverses)
      FROM ledger.transaction t
     WHERE t.ledger_id = $1::integer AND t.reverses IS NOT NULL
       AND NOT EXISTS (SELECT FROM ledger.transaction r WHERE r.ledger_id = t.ledger_id AND r.id = t.reverses)
    UNION ALL
    SELECT 'guard_missing', 'INV8', format('trigger %s', g.name)
      FROM (VALUES ('ledger.entry'::regclass, 'entry_check'), ('ledger.entry', 'entry_append_only'),
                   ('ledger.transaction', 'transaction_check'),
                   ('ledger.transaction', 'transaction_append_only')) AS g (relation, name)
     WHERE NOT EXISTS (SELECT FROM pg_trigger t
                        WHERE t.tgrelid = g.relation AND t.tgname = g.name AND t.tgenabled IN ('O', 'A'))
    UNION ALL
    SELECT 'guard_missing', 'INV8', format('unique constraint %s', g.name)
      FROM (VALUES ('ledger.entry'::regclass, 'entry_pkey'), ('ledger.transaction', 'transaction_pkey'),
                   ('ledger.transaction', 'transaction_idempotency_key'),
                   ('ledger.balance', 'balance_pkey')) AS g (relation, name)
     WHERE NOT EXISTS (SELECT FROM pg_constraint c
                         JOIN pg_index i ON i.indexrelid = c.conindid
                        WHERE c.conrelid = g.relation AND c.conname = g.name AND i.indisunique AND i.indisvalid)
)
SELECT category, invariant, count(*), min(place) FROM violation GROUP BY category, invariant ORDER BY category
