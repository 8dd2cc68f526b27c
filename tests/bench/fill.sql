-- Fills the journal with :entries more entries, valid ones: rounds in which every account of the
-- benchmark sends 1 to another and then receives 1 from another. The database's own checks are on,
-- as always. Ids rise with time, as the service's do; the keys are those of one principal, :owner.
CREATE PROCEDURE ledger.bench_fill(owner uuid, more bigint)
LANGUAGE plpgsql
AS $$
DECLARE
    accounts bigint := (SELECT count(*) FROM ledger.bench_account);
    rounds   bigint := greatest(1, 50000 / accounts);  -- of one statement: about 100,000 entries
    began    bigint := extract(epoch FROM now() - interval '1 day') * 1000;
    done     bigint := (SELECT count(*) FROM ledger.transaction  -- by a fill before this one
                         WHERE idempotency_key >= 'fill-' AND idempotency_key < 'fill.');
    enough   bigint := done + (more + 1) / 2;
BEGIN
    WHILE done < enough LOOP
        WITH pair AS MATERIALIZED (
            SELECT s.id AS source, t.id AS target, r.number AS round,
                   done + r.number * accounts + s.number AS place
              FROM generate_series(0, rounds - 1) AS r (number)
             CROSS JOIN ledger.bench_account s
              JOIN ledger.bench_account t
                ON t.number - 1
                   = (s.number + (done / accounts + r.number) % (accounts - 1)) % accounts),
        named AS MATERIALIZED (
            SELECT *, (lpad(to_hex(began + place / 4096), 12, '0') || '7'
                       || lpad(to_hex(place % 4096), 3, '0') || '8000000000000000')::uuid AS id
              FROM pair),
        recorded AS (
            INSERT INTO ledger.transaction
                   (ledger_id, id, kind, principal, idempotency_key, request_digest)
            SELECT 1, id, 'transfer', owner, 'fill-' || lpad(place::text, 12, '0'), sha256('fill')
              FROM named ORDER BY id)
        INSERT INTO ledger.entry
               (ledger_id, account_id, seq, transaction_id, amount, balance_after)
        SELECT 1, b.account_id, b.entries + e.step, e.id, e.amount, b.posted + greatest(e.amount, 0)
          FROM (SELECT source AS account_id, 2 * round + 1 AS step, id, 1 AS amount FROM named
                UNION ALL
                SELECT target, 2 * round + 2, id, -1 FROM named) e
          JOIN ledger.balance b ON b.ledger_id = 1 AND b.account_id = e.account_id
         ORDER BY e.id;
        UPDATE ledger.balance b SET entries = b.entries + 2 * rounds
          FROM ledger.bench_account s WHERE b.ledger_id = 1 AND b.account_id = s.id;
        COMMIT;
        done := done + rounds * accounts;
    END LOOP;
END
$$;
SET synchronous_commit = off;
SET work_mem = '128MB';
CALL ledger.bench_fill(:'owner', :entries);
DROP PROCEDURE ledger.bench_fill(uuid, bigint);
VACUUM ANALYZE;
CHECKPOINT;
