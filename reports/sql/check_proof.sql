-- The proof of all books of a ledger in one pass without sorting: $1 ledger, $2 a number that nobody can guess.
--
-- Each entry stands for a step from (account, seq - 1, balance before) to (account, seq, balance after). Both
-- ends are hashed with $2; the sum of the one minus the sum of the other cancels at every step that the next
-- one goes on from. What must be left is one step per account, from (0, 0) to its snapshot (entries, posted).
-- It is left exactly when numbers have no gap, balances run, and snapshots are the sums of their entries.
-- In the same way legs of a transaction cancel (its asset, id and amount, debits minus credits), and a
-- transaction has one debit. Transactions with more legs are right, too, but not proven by this: whoever calls
-- looks closer (check_details.sql) when anything is left.
WITH side AS (
    SELECT a.id, hashtextextended(a.asset, $2::bigint) AS asset_seed,
           CASE WHEN a.class IN ('asset', 'expense') THEN a.floor END AS least,
           CASE WHEN a.class NOT IN ('asset', 'expense') THEN -a.floor END AS most
      FROM ledger.account a
     WHERE a.ledger_id = $1::integer
),
entries AS (
    SELECT count(*) AS entries,
           count(s.id) AS with_account,
           coalesce(sum(hash_numeric_extended(e.balance_after, hashint8extended(
                        CASE WHEN e.balance_after < 0 THEN -e.seq ELSE e.seq END,
                        uuid_hash_extended(e.account_id, $2::bigint)))), 0)
           - coalesce(sum(hash_numeric_extended(e.balance_after - e.amount, hashint8extended(
                          CASE WHEN e.balance_after < e.amount THEN 1 - e.seq ELSE e.seq - 1 END,
                          uuid_hash_extended(e.account_id, $2::bigint)))), 0) AS steps,
           coalesce(sum(hash_numeric_extended(e.amount, uuid_hash_extended(e.transaction_id, s.asset_seed)))
                    FILTER (WHERE e.amount > 0), 0)
           - coalesce(sum(hash_numeric_extended(e.amount, uuid_hash_extended(e.transaction_id, s.asset_seed)))
                      FILTER (WHERE e.amount < 0), 0) AS legs,
           coalesce(sum(uuid_hash_extended(e.transaction_id, $2::bigint)) FILTER (WHERE e.amount > 0), 0) AS debits,
           count(*) FILTER (WHERE e.balance_after < s.least OR e.balance_after > s.most) AS beyond
      FROM ledger.entry e
      LEFT JOIN side s ON s.id = e.account_id
     WHERE e.ledger_id = $1::integer
),
snapshots AS (
    SELECT coalesce(sum(hash_numeric_extended(b.posted, hashint8extended(
                        CASE WHEN b.posted < 0 THEN -b.entries ELSE b.entries END,
                        uuid_hash_extended(b.account_id, $2::bigint)))), 0)
           - coalesce(sum(hash_numeric_extended(0, hashint8extended(
                          0, uuid_hash_extended(b.account_id, $2::bigint)))), 0) AS steps
      FROM ledger.balance b
     WHERE b.ledger_id = $1::integer
),
transactions AS (
    SELECT count(*) AS transactions, coalesce(sum(uuid_hash_extended(t.id, $2::bigint)), 0) AS ids,
           count(*) FILTER (WHERE t.created_at > now() + interval '1 minute') AS ahead
      FROM ledger.transaction t
     WHERE t.ledger_id = $1::integer
),
reversals AS (
    SELECT count(*) AS of_nothing
      FROM ledger.transaction t
     WHERE t.ledger_id = $1::integer AND t.reverses IS NOT NULL
       AND NOT EXISTS (SELECT FROM ledger.transaction r WHERE r.ledger_id = t.ledger_id AND r.id = t.reverses)
)
SELECT t.transactions, e.entries,
       e.steps = s.steps AND e.legs = 0 AND e.debits = t.ids AND e.with_account = e.entries
       AND e.beyond = 0 AND t.ahead = 0 AND r.of_nothing = 0 AS proven
  FROM entries e, snapshots s, transactions t, reversals r
