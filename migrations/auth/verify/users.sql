-- Verify pacioli_auth:users on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

SELECT id, username, password_hash, created_at FROM auth.users WHERE false;

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
BEGIN
    IF NOT has_table_privilege(service, 'auth.users', 'SELECT')
       OR NOT has_table_privilege(service, 'auth.users', 'INSERT')
       OR NOT has_column_privilege(service, 'auth.users', 'password_hash', 'UPDATE') THEN
        RAISE EXCEPTION '% cannot keep users', service;
    END IF;
    IF has_table_privilege(service, 'auth.users', 'UPDATE, DELETE, TRUNCATE') THEN
        RAISE EXCEPTION '% has rights on auth.users that it must not have', service;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint
                    WHERE conrelid = 'auth.users'::regclass AND conname = 'users_username_key'
                      AND pg_get_constraintdef(oid) = 'UNIQUE (username)') THEN
        RAISE EXCEPTION 'constraint users_username_key is missing';
    END IF;
    IF NOT EXISTS (SELECT FROM auth.schema_version WHERE version = 1) THEN
        RAISE EXCEPTION 'version 1 is not recorded';
    END IF;
END
$$;

ROLLBACK;
