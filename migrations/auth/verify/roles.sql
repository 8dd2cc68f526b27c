-- Verify pacioli_auth:roles on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

SELECT roles, disabled_at FROM auth.users WHERE false;

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
BEGIN
    IF NOT has_column_privilege(service, 'auth.users', 'roles', 'UPDATE')
       OR NOT has_column_privilege(service, 'auth.users', 'disabled_at', 'UPDATE') THEN
        RAISE EXCEPTION '% cannot change what a user may do', service;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_constraint
                    WHERE conrelid = 'auth.users'::regclass AND conname = 'users_roles_check') THEN
        RAISE EXCEPTION 'constraint users_roles_check is missing';
    END IF;
    IF NOT EXISTS (SELECT FROM auth.schema_version WHERE version = 2) THEN
        RAISE EXCEPTION 'version 2 is not recorded';
    END IF;
END
$$;

ROLLBACK;
