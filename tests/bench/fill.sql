-- Fills the journal with :entries more entries, valid ones: rounds in which every account of the benchmark
-- sends 1 to another and receives 1 from another. The database's own checks are on, as always.
-- The fill commits round by round; a round of 10,000 accounts is 20,000 entries.
CREATE PROCEDURE ledger.bench_fill(more bigint)
LANGUAGE plpgsql
AS $$
DECLARE
    accounts bigint := (SELECT count(*) FROM ledger.bench_account);
    done     bigint := 0;
    round    bigint := 0;
BEGIN
    WHILE done < more LOOP
        round := round + 1;
        WITH pair AS MATERIALIZED (
            SELECT s.id AS source, t.id AS target, gen_random_uuid() AS id, b.posted, b.entries,
                   b2.posted AS target_posted, b2.entries AS target_entries
              FROM ledger.bench_account s
              JOIN ledger.bench_account t ON t.number = 1 + (s.number + round % (accounts - 1)) % accounts
              JOIN ledger.balance b ON b.ledger_id = 1 AND b.account_id = s.id
              JOIN ledger.balance b2 ON b2.ledger_id = 1 AND b2.account_id = t.id),
        x AS (
            INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, request_digest)
            SELECT 1, id, 'transfer', source, 'fill-' || id, sha256('fill') FROM pair)
        INSERT INTO ledger.entry (ledger_id, account_id, seq, transaction_id, amount, balance_after)
        SELECT 1, source, entries + 1, id, 1, posted + 1 FROM pair
        UNION ALL
        SELECT 1, target, target_entries + 2, id, -1, target_posted FROM pair;
        UPDATE ledger.balance b SET entries = entries + 2
          FROM ledger.bench_account s WHERE b.ledger_id = 1 AND b.account_id = s.id;
        COMMIT;
        done := done + 2 * accounts;
    END LOOP;
END
$$;
CALL ledger.bench_fill(:entries);
DROP PROCEDURE ledger.bench_fill;
VACUUM ANALYZE;
CHECKPOINT;
