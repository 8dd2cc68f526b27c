-- Revert pacioli_wallet:moments from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DROP INDEX ledger.transaction_moments;

COMMIT;
