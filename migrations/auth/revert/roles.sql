-- Revert pacioli_auth:roles from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF EXISTS (SELECT FROM auth.users WHERE roles <> '{user}' OR disabled_at IS NOT NULL) THEN
        RAISE EXCEPTION 'a user has other roles, or is disabled: a revert never changes users';
    END IF;
END
$$;

DELETE FROM auth.schema_version WHERE version = 2;
ALTER TABLE auth.users DROP COLUMN roles, DROP COLUMN disabled_at;

COMMIT;
