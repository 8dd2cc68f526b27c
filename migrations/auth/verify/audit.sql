-- Verify pacioli_auth:audit on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

SELECT id, recorded_at, event, outcome, actor, subject, reason, request_id, address, agent, detail
  FROM auth.audit WHERE false;

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
BEGIN
    IF NOT has_table_privilege(service, 'auth.audit', 'SELECT')
       OR NOT has_column_privilege(service, 'auth.audit', 'event', 'INSERT')
       OR NOT has_function_privilege(service, 'auth.audit_write(text, text, text, text, text, jsonb, jsonb)',
                                     'EXECUTE') THEN
        RAISE EXCEPTION '% cannot keep the audit trail', service;
    END IF;
    IF has_table_privilege(service, 'auth.audit', 'UPDATE, DELETE, TRUNCATE')
       OR has_column_privilege(service, 'auth.audit', 'recorded_at', 'INSERT') THEN
        RAISE EXCEPTION '% has rights on auth.audit that it must not have', service;
    END IF;
    IF NOT EXISTS (SELECT FROM pg_trigger
                    WHERE tgrelid = 'auth.audit'::regclass AND tgname = 'audit_append_only' AND tgenabled = 'O') THEN
        RAISE EXCEPTION 'trigger audit_append_only is missing or switched off';
    END IF;
    IF NOT EXISTS (SELECT FROM auth.schema_version WHERE version = 3) THEN
        RAISE EXCEPTION 'version 3 is not recorded';
    END IF;
END
$$;

ROLLBACK;
