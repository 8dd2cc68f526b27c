-- The triggers' plans are kept for a session. However small the tables and whatever the statistics when they
-- are made, they must look up rows by key, and never read a whole table or index: it will be large one day.
BEGIN;
SELECT plan(6);

CREATE FUNCTION pg_temp.scans() RETURNS TABLE (relname text, seq_scan bigint, idx_scan bigint)
LANGUAGE sql VOLATILE
AS $$ SELECT relname::text COLLATE "default", coalesce(seq_scan, 0), coalesce(idx_scan, 0)
        FROM pg_stat_xact_user_tables
       WHERE schemaname = 'ledger' AND relname IN ('account', 'transaction', 'entry') $$;
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
SELECT n, pg_temp.batch(first, size) AS sql
  FROM (VALUES (1, 1, 1), (2, 2, 1000), (3, 1002, 3)) AS v (n, first, size);
GRANT SELECT ON batch TO PUBLIC;

-- The bait: statistics that make reading all the few rows the cheapest plan.
ANALYZE ledger.account, ledger.transaction, ledger.entry;
CREATE TEMP TABLE before AS SELECT * FROM pg_temp.scans();

SET ROLE wallet_service;
SELECT lives_ok(sql, 'batch ' || n) FROM batch ORDER BY n;
RESET ROLE;

CREATE TEMP TABLE made AS
SELECT relname, s.seq_scan - b.seq_scan AS whole, s.idx_scan - b.idx_scan AS by_key
  FROM pg_temp.scans() s JOIN before b USING (relname);
SELECT results_eq($$ SELECT whole, by_key FROM made WHERE relname = 'account' $$,
                  $$ VALUES (0::bigint, 2008::bigint) $$, 'one look-up of the account for each of 2,008 entries');
SELECT results_eq($$ SELECT whole, by_key FROM made WHERE relname = 'transaction' $$,
                  $$ VALUES (0::bigint, 1004::bigint) $$, 'one of each of the 1,004 transactions');
SELECT results_eq($$ SELECT whole, by_key FROM made WHERE relname = 'entry' $$,
                  $$ VALUES (0::bigint, 1004::bigint) $$, 'one of the entries of each transaction');
SELECT * FROM finish();
ROLLBACK;
