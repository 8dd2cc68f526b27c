-- Verify pacioli_wallet:audit_ledger on pg

BEGIN;

SELECT 1 / (to_regclass('ledger.audit_ledger') IS NOT NULL)::integer;

ROLLBACK;
