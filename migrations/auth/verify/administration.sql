-- Verify pacioli_auth:administration on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

SELECT id, name, secret_hash, roles, created_by, created_at, disabled_at FROM auth.service_account WHERE false;

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
    missing regprocedure;
BEGIN
    IF NOT has_table_privilege(service, 'auth.service_account', 'INSERT')
       OR has_table_privilege(service, 'auth.service_account', 'UPDATE, DELETE, TRUNCATE')
       OR has_column_privilege(service, 'auth.service_account', 'roles', 'UPDATE') THEN
        RAISE EXCEPTION '% has wrong rights on auth.service_account', service;
    END IF;
    SELECT f INTO missing
      FROM unnest(ARRAY[
               'auth.admin_is_good(uuid, uuid)'::regprocedure,
               'auth.user_change(uuid, uuid, jsonb, uuid, text, boolean)',
               'auth.user_unlock(uuid, uuid, jsonb, uuid, bytea)',
               'auth.service_account_create(uuid, uuid, jsonb, uuid, text, bytea, text)',
               'auth.service_account_disable(uuid, uuid, jsonb, uuid)',
               'auth.client_begin(uuid, bytea, text, jsonb, jsonb)']) AS f
     WHERE NOT has_function_privilege(service, f, 'EXECUTE');
    IF FOUND THEN
        RAISE EXCEPTION '% cannot call %', service, missing;
    END IF;
    IF NOT EXISTS (SELECT FROM auth.schema_version WHERE version = 6) THEN
        RAISE EXCEPTION 'version 6 is not recorded';
    END IF;
END
$$;

ROLLBACK;
