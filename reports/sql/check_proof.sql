-- The proof of all books of a ledger in one pass without sorting: $1 ledger, $2 a number that nobody can guess.
--
-- Each entry stands for a step from (account, seq - 1, balance before) to (account, seq, balance after). Both
-- ends are hashed with $2; the sum of the one minus the sum of the other cancels at every step that the next
-- one goes on from. What must be left is one step per account, from (0, 0) to its snapshot (entries, posted).
-- It is left exactly when numbers have no gap, balances run, and snapshots are the sums of their entries; and an
-- entry of an account without a snapshot never cancels.
-- In the same way legs of a transaction cancel (its asset, id and amount, debits minus credits), and a
-- transaction has one debit, whose hash its id is held against (`pairs`). Transactions with more legs are right,
-- too, but not proven by this: whoever calls looks closer (check_details.sql) when anything is left.
--
-- hash_numeric does not tell -5 from 5, therefore the sign goes into the seed. check_plain.sql is what most books
-- are proven by.
WITH entries AS (
    SELECT count(*) AS entries,
           coalesce(sum(hash_numeric_extended(e.balance_after, uuid_hash_extended(e.account_id,
                        $2::bigint + CASE WHEN e.balance_after > 0 THEN e.seq ELSE -e.seq END))), 0)
           - coalesce(sum(hash_numeric_extended(e.balance_after - e.amount, uuid_hash_extended(e.account_id,
                          $2::bigint + CASE WHEN e.balance_after > e.amount THEN e.seq - 1 ELSE 1 - e.seq END))),
                      0) AS steps,
           coalesce(sum(CASE WHEN e.amount > 0
                             THEN (hash_numeric_extended(e.amount, uuid_hash_extended(e.transaction_id,
                                                                                      s.asset_seed)) >> 2)
                                  + (uuid_hash_extended(e.transaction_id, ~$2::bigint) >> 2)
                             ELSE -(hash_numeric_extended(e.amount, uuid_hash_extended(e.transaction_id,
                                                                                       s.asset_seed)) >> 2)
                             END), 0) AS legs,
           count(*) FILTER (WHERE e.balance_after < s.least OR e.balance_after > s.most) AS beyond
      FROM ledger.entry e
      LEFT JOIN (SELECT a.ledger_id, a.id, hashtextextended(a.asset, $2::bigint) AS asset_seed,
                        CASE WHEN a.class IN ('asset', 'expense') THEN a.floor END AS least,
                        CASE WHEN a.class NOT IN ('asset', 'expense') THEN -a.floor END AS most
                   FROM ledger.account a) s ON s.ledger_id = $1::integer AND s.id = e.account_id
     WHERE e.ledger_id = $1::integer
),
snapshots AS (
    SELECT coalesce(sum(hash_numeric_extended(b.posted, uuid_hash_extended(b.account_id,
                        $2::bigint + CASE WHEN b.posted > 0 THEN b.entries ELSE -b.entries END))), 0)
           - coalesce(sum(hash_numeric_extended(0, uuid_hash_extended(b.account_id, $2::bigint))), 0) AS steps
      FROM ledger.balance b
     WHERE b.ledger_id = $1::integer
),
transactions AS (
    SELECT count(*) AS transactions, coalesce(sum(uuid_hash_extended(t.id, ~$2::bigint) >> 2), 0) AS ids
      FROM ledger.transaction t
     WHERE t.ledger_id = $1::integer
)
SELECT t.transactions, e.entries, e.legs = t.ids AS pairs, e.steps = s.steps AND e.beyond = 0 AS proven
  FROM entries e, snapshots s, transactions t
