-- Revert pacioli_wallet:accounts from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF EXISTS (SELECT FROM ledger.account) THEN
        RAISE EXCEPTION 'ledger.account has rows: a revert never deletes books';
    END IF;
END
$$;

DROP TABLE ledger.balance, ledger.account, ledger.asset, ledger.ledger;
DROP FUNCTION ledger.refuse_identity_change();

COMMIT;
