-- Verify pacioli_wallet:check_runs on pg

BEGIN;

SELECT ledger_id, number, mode, started_at, finished_at, watermark, cluster, transactions, entries, differences, findings
  FROM ledger.check_run WHERE false;
SELECT 1 / (has_table_privilege(:'service_role', 'ledger.check_run', 'SELECT')
            AND has_column_privilege(:'service_role', 'ledger.check_run', 'findings', 'INSERT'))::integer;
SELECT 1 / (NOT has_table_privilege(:'service_role', 'ledger.check_run', 'UPDATE, DELETE, TRUNCATE'))::integer;
SELECT 1 / (count(*) = 1)::integer
  FROM pg_trigger
 WHERE tgrelid = 'ledger.check_run'::regclass AND tgname = 'check_run_append_only' AND tgenabled = 'O';

ROLLBACK;
