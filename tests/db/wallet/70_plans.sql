-- The triggers' plans are kept for a session. However small the tables and whatever the statistics when they
-- are made, they must not read a whole table: it will be large one day.
BEGIN;
SELECT plan(4);

CREATE FUNCTION pg_temp.sequential_scans() RETURNS TABLE (relname name, scans bigint) LANGUAGE sql VOLATILE
AS $$ SELECT relname, seq_scan FROM pg_stat_xact_user_tables
       WHERE schemaname = 'ledger' AND relname IN ('account', 'transaction', 'entry') ORDER BY relname $$;
CREATE FUNCTION pg_temp.batch(first integer, size integer) RETURNS text LANGUAGE sql
AS $$ SELECT format(
    'WITH t AS (INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, '
    'request_digest) SELECT %1$s, md5(n::text)::uuid, ''transfer'', %2$L, ''batch '' || n, sha256(''x'') '
    'FROM generate_series(%5$s, %6$s) n) '
    'INSERT INTO ledger.entry SELECT %1$s, account, 100 + n, md5(n::text)::uuid, sign * n, 0 '
    'FROM generate_series(%5$s, %6$s) n, (VALUES (%3$L::uuid, 1), (%4$L, -1)) v (account, sign)',
    tap.ledger('main'), tap.principal(), tap.account('alice'), tap.account('bob'),
    first, first + size - 1) $$;
CREATE TEMP TABLE batch AS
SELECT n, pg_temp.batch(first, size) AS sql FROM (VALUES (1, 1, 1), (2, 2, 1000), (3, 1002, 3)) AS v (n, first, size);
GRANT SELECT ON batch TO PUBLIC;
-- The bait: statistics that make reading the few rows the cheapest plan.
ANALYZE ledger.account, ledger.transaction, ledger.entry;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.sequential_scans();

SET ROLE wallet_service;
SELECT lives_ok(sql, 'batch ' || n) FROM batch ORDER BY n;
RESET ROLE;
SELECT results_eq('SELECT * FROM pg_temp.sequential_scans()', 'SELECT * FROM before',
                  'no table was read from end to end');
SELECT * FROM finish();
ROLLBACK;
