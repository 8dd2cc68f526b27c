-- Revert pacioli_wallet:journal from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF EXISTS (SELECT FROM ledger.transaction) OR EXISTS (SELECT FROM ledger.entry) THEN
        RAISE EXCEPTION 'the journal has rows: a revert never deletes books';
    END IF;
END
$$;

DROP TABLE ledger.entry, ledger.transaction;
DROP FUNCTION ledger.check_entries(), ledger.check_transactions();

COMMIT;
