-- Revert pacioli_wallet:check_runs from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

-- The history of checks is no part of the books: they can be proven again.
DROP TABLE ledger.check_run;

COMMIT;
