-- The proof of plain books in one pass (check_shape.sql says which are): $1 ledger, $2 a number that nobody can
-- guess, $3 it is the only ledger, $4 accounts that may be in debit. No account is looked up, no numeric is added up:
-- check_proof.sql does both, and takes twice as long. A number beyond bigint, or a seq beyond integer, ends it with
-- "out of range" (22003), and then that is asked.
--
-- Each entry stands for a step from (account, seq - 1, balance before) to (account, seq, balance after). Both ends are
-- hashed, and all hashes are XORed. What is left is one step per account, from (account, 0, 0) to its snapshot, when
-- every other end is there an even number of times. Such steps lead from the one to the other, so an account has as
-- many of them as its snapshot counts at least; as there are no more entries than all snapshots count, each number is
-- there once, and balances run.
-- In the same way the hash of a transaction's id and amount has to be there an even number of times, and that of its
-- id once for every debit. So each transaction has two entries at least; as there are no more than two per
-- transaction, it has a debit and a credit of one amount.
--
-- A forbidden debit is left out, so that nothing matches. Whether rows are of the ledger is cheaper to sum up than to
-- filter by; hence $3. A volatile column keeps the conversions in a subquery of their own, where each is done once;
-- OFFSET 0 would, too, but workers do not share such a subquery. hash_any mixes all 64 bits of its seed;
-- hashint8extended would fold them, hence uuids.
WITH entries AS (
    SELECT count(*) AS entries, coalesce(bit_or(e.ledger_id # $1::integer), 0) AS strays,
           coalesce(bit_xor(
               uuid_hash_extended(e.account_id, hashint4extended(e.seq, $2::bigint) # e.balance_after)
               # uuid_hash_extended(e.account_id,
                                    hashint4extended(e.seq - 1, $2::bigint) # (e.balance_after - e.amount))
               # CASE WHEN e.amount > 0
                      THEN uuid_hash_extended(e.transaction_id, $2::bigint # e.amount)
                           # uuid_hash_extended(e.transaction_id, ~$2::bigint)
                      ELSE uuid_hash_extended(e.transaction_id, $2::bigint # -e.amount) END)
               FILTER (WHERE e.balance_after <= 0 OR e.account_id = ANY ($4::uuid[])), 0) AS hash
      FROM (SELECT x.ledger_id, x.account_id, x.seq::integer, x.transaction_id, x.amount::bigint,
                   x.balance_after::bigint, pg_is_in_recovery()
              FROM ledger.entry x
             WHERE $3::boolean OR x.ledger_id = $1::integer) e
),
snapshots AS (
    SELECT coalesce(sum(b.entries), 0) AS entries,
           coalesce(bit_xor(
               uuid_hash_extended(b.account_id, hashint4extended(b.entries::integer, $2::bigint) # b.posted::bigint)
               # uuid_hash_extended(b.account_id, hashint4extended(0, $2::bigint))), 0) AS hash
      FROM ledger.balance b
     WHERE b.ledger_id = $1::integer
),
transactions AS (
    SELECT count(*) AS transactions, coalesce(bit_or(t.ledger_id # $1::integer), 0) AS strays,
           coalesce(bit_xor(uuid_hash_extended(t.id, ~$2::bigint)), 0) AS hash
      FROM ledger.transaction t
     WHERE $3::boolean OR t.ledger_id = $1::integer
)
SELECT t.transactions, e.entries, true AS pairs,
       e.hash = s.hash # t.hash AND e.entries = s.entries AND e.entries = 2 * t.transactions
       AND e.strays = 0 AND t.strays = 0 AS proven
  FROM entries e, snapshots s, transactions t
