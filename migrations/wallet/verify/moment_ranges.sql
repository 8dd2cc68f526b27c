-- Verify pacioli_wallet:moment_ranges on pg

BEGIN;

SELECT 1 / has_function_privilege(:'service_role', 'ledger.summarize_moments()', 'EXECUTE')::integer;
SELECT 1 / (count(*) = 1)::integer FROM ledger.schema_version WHERE version = 8;

ROLLBACK;
