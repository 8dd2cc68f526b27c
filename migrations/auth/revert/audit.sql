-- Revert pacioli_auth:audit from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF EXISTS (SELECT FROM auth.audit) THEN
        RAISE EXCEPTION 'auth.audit has rows: a revert never deletes an audit trail';
    END IF;
END
$$;

DELETE FROM auth.schema_version WHERE version = 3;
DROP FUNCTION auth.audit_write(text, text, text, text, text, jsonb, jsonb);
DROP TABLE auth.audit;
DROP FUNCTION auth.refuse_change();

COMMIT;
