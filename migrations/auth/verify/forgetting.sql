-- Verify pacioli_auth:forgetting on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
BEGIN
    IF NOT has_function_privilege(service, 'auth.sessions_forget(bigint, bigint)', 'EXECUTE') THEN
        RAISE EXCEPTION '% cannot call auth.sessions_forget', service;
    END IF;
    IF has_table_privilege(service, 'auth.session', 'DELETE')
       OR has_table_privilege(service, 'auth.refresh_token', 'DELETE')
       OR has_table_privilege(service, 'auth.revocation', 'DELETE') THEN
        RAISE EXCEPTION '% can delete sessions, refresh tokens or revocations', service;
    END IF;
    IF (SELECT count(*) FROM pg_class
         WHERE oid IN (to_regclass('auth.session_idle_end'), to_regclass('auth.session_ended'),
                       to_regclass('auth.revocation_expires'))) <> 3 THEN
        RAISE EXCEPTION 'an index is missing';
    END IF;
    IF NOT EXISTS (SELECT FROM auth.schema_version WHERE version = 7) THEN
        RAISE EXCEPTION 'version 7 is not recorded';
    END IF;
END
$$;

ROLLBACK;
