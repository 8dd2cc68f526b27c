-- Revert pacioli_wallet:audit from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF EXISTS (SELECT FROM ledger.audit) THEN
        RAISE EXCEPTION 'ledger.audit has rows: a revert never deletes an audit trail';
    END IF;
END
$$;

DROP FUNCTION ledger.audit_write(text, text, text, text, text, jsonb, jsonb);
DROP TABLE ledger.audit;

COMMIT;
