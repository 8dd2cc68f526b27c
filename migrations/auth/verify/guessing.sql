-- Verify pacioli_auth:guessing on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

SELECT key, known, failures, wait_until, used_at FROM auth.guess WHERE false;
SELECT name, full_at FROM auth.bucket WHERE false;

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
    missing regprocedure;
BEGIN
    IF NOT has_table_privilege(service, 'auth.guess', 'SELECT')
       OR NOT has_table_privilege(service, 'auth.guess', 'INSERT')
       OR NOT has_table_privilege(service, 'auth.guess', 'UPDATE')
       OR NOT has_table_privilege(service, 'auth.bucket', 'UPDATE') THEN
        RAISE EXCEPTION '% cannot count guesses', service;
    END IF;
    SELECT f INTO missing
      FROM unnest(ARRAY[
               'auth.login_begin(text, bytea, bytea, text, jsonb, jsonb)'::regprocedure,
               'auth.login_undone(bytea, bytea, boolean, text, jsonb)',
               'auth.login_failed(uuid, text, bigint, boolean, jsonb, jsonb)',
               'auth.login_passed(uuid, bytea, bytea, boolean, text, bigint, text, text, jsonb, jsonb)',
               'auth.guesses_forget(bigint)']) AS f
     WHERE NOT has_function_privilege(service, f, 'EXECUTE');
    IF FOUND THEN
        RAISE EXCEPTION '% cannot call %', service, missing;
    END IF;
    IF NOT EXISTS (SELECT FROM auth.schema_version WHERE version = 5) THEN
        RAISE EXCEPTION 'version 5 is not recorded';
    END IF;
END
$$;

ROLLBACK;
