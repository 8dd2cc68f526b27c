-- Verify pacioli_wallet:confirm_rows on pg

SELECT 1 / (ledger.confirm_rows(2, 2) = 2)::integer;
SELECT 1 / has_function_privilege(:'service_role', 'ledger.confirm_rows(bigint, bigint)', 'EXECUTE')::integer;
