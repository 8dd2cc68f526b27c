-- Revert pacioli_wallet:confirm_rows from pg

BEGIN;
DROP FUNCTION ledger.confirm_rows(bigint, bigint);
COMMIT;
