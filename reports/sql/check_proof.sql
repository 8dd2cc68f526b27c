-- The proof of all books of a ledger in one pass without sorting: $1 ledger, $2 a number that nobody can guess;
-- from check_shape.sql: $3 it is the only ledger, $4 its books are plain, $5 accounts that may be in debit.
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
-- An account is looked up for an entry's asset and floor; that costs more than the rest of an entry. Where the
-- books are plain (one asset in use, and every account in use is in credit or has no floor) it is left out: the
-- planner sees $3 to $5 as constants. A forbidden debit then has no hash, so that nothing cancels.
-- hash_numeric does not tell -5 from 5, therefore the sign goes into the seed. Whether a row is of the ledger is
-- cheaper to sum up than to filter by; hence $3.
WITH entries AS (
    SELECT count(*) AS entries,
           coalesce(sum(hash_numeric_extended(e.balance_after, uuid_hash_extended(e.account_id,
                        CASE WHEN e.balance_after > 0
                             THEN CASE WHEN NOT $4::boolean OR e.account_id = ANY ($5::uuid[])
                                       THEN $2::bigint + e.seq END
                             ELSE $2::bigint - e.seq END))), 0)
           - coalesce(sum(hash_numeric_extended(e.balance_after - e.amount, uuid_hash_extended(e.account_id,
                          CASE WHEN e.balance_after > e.amount
                               THEN $2::bigint - 1 + e.seq
                               ELSE $2::bigint + 1 - e.seq END))), 0) AS steps,
           coalesce(sum(CASE WHEN e.amount > 0
                             THEN (hash_numeric_extended(e.amount, uuid_hash_extended(e.transaction_id,
                                   CASE WHEN $4::boolean THEN $2::bigint ELSE s.asset_seed END)) >> 2)
                                  + (uuid_hash_extended(e.transaction_id, ~$2::bigint) >> 2)
                             ELSE -(hash_numeric_extended(e.amount, uuid_hash_extended(e.transaction_id,
                                    CASE WHEN $4::boolean THEN $2::bigint ELSE s.asset_seed END)) >> 2)
                             END), 0) AS legs,
           count(*) FILTER (WHERE NOT $4::boolean
                              AND (e.balance_after < s.least OR e.balance_after > s.most)) AS beyond,
           coalesce(bit_or(e.ledger_id # $1::integer), 0) AS strays
      FROM ledger.entry e
      LEFT JOIN (SELECT a.ledger_id, a.id, hashtextextended(a.asset, $2::bigint) AS asset_seed,
                        CASE WHEN a.class IN ('asset', 'expense') THEN a.floor END AS least,
                        CASE WHEN a.class NOT IN ('asset', 'expense') THEN -a.floor END AS most
                   FROM ledger.account a) s ON s.ledger_id = $1::integer AND s.id = e.account_id
     WHERE $3::boolean OR e.ledger_id = $1::integer
),
snapshots AS (
    SELECT coalesce(sum(hash_numeric_extended(b.posted, uuid_hash_extended(b.account_id,
                        CASE WHEN b.posted > 0 THEN $2::bigint + b.entries ELSE $2::bigint - b.entries END))), 0)
           - coalesce(sum(hash_numeric_extended(0, uuid_hash_extended(b.account_id, $2::bigint))), 0) AS steps
      FROM ledger.balance b
     WHERE b.ledger_id = $1::integer
),
transactions AS (
    SELECT count(*) AS transactions,
           coalesce(sum(uuid_hash_extended(t.id, ~$2::bigint) >> 2), 0) AS ids,
           count(*) FILTER (WHERE t.created_at > now() + interval '1 minute') AS ahead,
           coalesce(bit_or(t.ledger_id # $1::integer), 0) AS strays
      FROM ledger.transaction t
     WHERE $3::boolean OR t.ledger_id = $1::integer
),
reversals AS (
    SELECT count(*) AS of_nothing
      FROM ledger.transaction t
     WHERE t.ledger_id = $1::integer AND t.reverses IS NOT NULL
       AND NOT EXISTS (SELECT FROM ledger.transaction r WHERE r.ledger_id = t.ledger_id AND r.id = t.reverses)
)
SELECT t.transactions, e.entries, e.legs = t.ids AS pairs,
       e.steps = s.steps AND e.beyond = 0 AND t.ahead = 0 AND r.of_nothing = 0 AND e.strays = 0 AND t.strays = 0
       AS proven
  FROM entries e, snapshots s, transactions t, reversals r
