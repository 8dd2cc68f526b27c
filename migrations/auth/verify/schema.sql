-- Verify pacioli_auth:schema on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

SELECT version, deployed_at FROM auth.schema_version WHERE false;

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
BEGIN
    IF NOT has_database_privilege(service, current_database(), 'CONNECT')
       OR has_database_privilege(service, current_database(), 'CREATE, TEMPORARY') THEN
        RAISE EXCEPTION '% must be able to connect to this database, and no more', service;
    END IF;
    IF has_database_privilege('public', current_database(), 'CONNECT, CREATE, TEMPORARY') THEN
        RAISE EXCEPTION 'PUBLIC has rights in this database';
    END IF;
    IF NOT has_schema_privilege(service, 'auth', 'USAGE')
       OR has_schema_privilege(service, 'auth', 'CREATE')
       OR has_schema_privilege('public', 'auth', 'USAGE, CREATE') THEN
        RAISE EXCEPTION 'wrong rights on the schema auth';
    END IF;
    IF NOT has_table_privilege(service, 'auth.schema_version', 'SELECT')
       OR has_table_privilege(service, 'auth.schema_version', 'INSERT, UPDATE, DELETE, TRUNCATE') THEN
        RAISE EXCEPTION '% must read auth.schema_version, and no more', service;
    END IF;
END
$$;

ROLLBACK;
