-- Revert pacioli_auth:users from pg

BEGIN;
SET LOCAL lock_timeout = '5s';

DO $$
BEGIN
    IF EXISTS (SELECT FROM auth.users) THEN
        RAISE EXCEPTION 'auth.users has rows: a revert never deletes users';
    END IF;
END
$$;

DELETE FROM auth.schema_version WHERE version = 1;
DROP TABLE auth.users;

COMMIT;
