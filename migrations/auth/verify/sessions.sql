-- Verify pacioli_auth:sessions on pg

BEGIN;
SET LOCAL pacioli.service_role = :'service_role';

SELECT id, user_id, created_at, last_used_at, idle_ends_at, ends_at, access_until, address, agent, ended_at, end_reason
  FROM auth.session WHERE false;
SELECT hash, session_id, used_at, successor FROM auth.refresh_token WHERE false;
SELECT subject, kind, issued_up_to, expires_at, recorded_xid FROM auth.revocation WHERE false;

DO $$
DECLARE
    service text := current_setting('pacioli.service_role');
    one     text;
BEGIN
    FOREACH one IN ARRAY ARRAY['auth.session', 'auth.refresh_token', 'auth.revocation'] LOOP
        IF NOT has_table_privilege(service, one, 'SELECT') OR NOT has_table_privilege(service, one, 'INSERT')
           OR has_table_privilege(service, one, 'UPDATE, DELETE, TRUNCATE') THEN
            RAISE EXCEPTION 'wrong rights on %', one;
        END IF;
    END LOOP;
    FOREACH one IN ARRAY ARRAY[
        'auth.session_end(uuid, text, uuid, jsonb)',
        'auth.tokens_revoke(uuid)',
        'auth.user_revoke(uuid, uuid, text, uuid, jsonb)',
        'auth.caller_is_good(uuid, uuid)',
        'auth.utc(timestamptz)',
        'auth.seconds_left(timestamptz, bigint)',
        'auth.session_open(uuid, uuid, bytea, bigint, bigint, bigint, bigint, jsonb)',
        'auth.session_refresh(bytea, bytea, bigint, bigint, bigint, jsonb)',
        'auth.password_change(uuid, uuid, text, text, jsonb)',
        'auth.revocations(xid8, uuid, bigint)'] LOOP
        IF NOT has_function_privilege(service, one, 'EXECUTE')
           OR has_function_privilege('public', one, 'EXECUTE') THEN
            RAISE EXCEPTION 'wrong rights on %', one;
        END IF;
    END LOOP;
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = 'auth.users'::regclass AND tgname = 'users_changed'
                                            AND tgenabled = 'O') THEN
        RAISE EXCEPTION 'trigger users_changed is missing';
    END IF;
    IF NOT EXISTS (SELECT FROM auth.schema_version WHERE version = 4) THEN
        RAISE EXCEPTION 'version 4 is not recorded';
    END IF;
END
$$;

ROLLBACK;
