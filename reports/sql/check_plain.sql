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
-- A forbidden debit is left out, so that nothing matches. A row of another ledger has other hashes, which is cheaper
-- than to leave it out; hence $3. What is hashed is mixed by functions whose seed counts with all of its 64 bits
-- (hashint8extended would fold its number), so an id is hashed once, and what comes with it by a cheaper one. A volatile
-- column keeps the conversions in a subquery of their own, where each is done once; OFFSET 0 would, too, but workers do
-- not share such a subquery.
WITH entries AS (
    SELECT count(*) AS entries,
           coalesce(bit_xor(
               hashint4extended(e.seq, e.account # e.balance_after)
               # hashint4extended(e.seq - 1, e.account # (e.balance_after - e.amount))
               # CASE WHEN e.amount > 0 THEN hashint4extended(-1, e.transaction # e.amount) # e.transaction
                      ELSE hashint4extended(-1, e.transaction # -e.amount) END)
               FILTER (WHERE e.balance_after <= 0 OR e.account_id = ANY ($4::uuid[])), 0) AS hash
      FROM (SELECT x.account_id, x.seq::integer, x.amount::bigint, x.balance_after::bigint,
                   uuid_hash_extended(x.account_id, $2::bigint + x.ledger_id) AS account,
                   uuid_hash_extended(x.transaction_id, $1::integer - $2::bigint) AS transaction, pg_is_in_recovery()
              FROM ledger.entry x
             WHERE $3::boolean OR x.ledger_id = $1::integer) e
),
snapshots AS (
    SELECT coalesce(sum(b.entries), 0) AS entries,
           coalesce(bit_xor(
               hashint4extended(b.entries, b.account # b.posted) # hashint4extended(0, b.account)), 0) AS hash
      FROM (SELECT x.entries::integer, x.posted::bigint,
                   uuid_hash_extended(x.account_id, $2::bigint + $1::integer) AS account
              FROM ledger.balance x
             WHERE x.ledger_id = $1::integer) b
),
transactions AS (
    SELECT count(*) AS transactions, coalesce(bit_xor(uuid_hash_extended(t.id, t.ledger_id - $2::bigint)), 0) AS hash
      FROM ledger.transaction t
     WHERE $3::boolean OR t.ledger_id = $1::integer
)
SELECT t.transactions, e.entries, true AS pairs,
       e.hash = s.hash # t.hash AND e.entries = s.entries AND e.entries = 2 * t.transactions AS proven
  FROM entries e, snapshots s, transactions t
