-- Revert pacioli_wallet:audit_ledger from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP INDEX ledger.audit_ledger;

COMMIT;
