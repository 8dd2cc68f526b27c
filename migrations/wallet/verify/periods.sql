-- Verify pacioli_wallet:periods on pg

BEGIN;

SELECT ledger_id, from_at, to_at, closed_at, closed_by, reason FROM ledger.period WHERE false;
SELECT ledger_id, to_at, report, digest, made_at FROM ledger.period_report WHERE false;
SELECT 1 / (count(*) = 3)::integer
  FROM pg_trigger
 WHERE tgname IN ('transaction_period', 'period_append_only', 'period_report_append_only') AND tgenabled = 'O';
SELECT 1 / (has_function_privilege(:'service_role',
                'ledger.close_period(integer, timestamptz, uuid, text, jsonb)', 'EXECUTE')
            AND has_function_privilege(:'service_role', 'ledger.write_period_report(integer, timestamptz)', 'EXECUTE')
            AND has_table_privilege(:'service_role', 'ledger.period', 'SELECT')
            AND NOT has_table_privilege(:'service_role', 'ledger.period', 'INSERT, UPDATE, DELETE'))::integer;

ROLLBACK;
