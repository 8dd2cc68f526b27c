-- Users: columns, rules, and every right in the database, walked over whatever tables there are.
BEGIN;
SELECT plan(42);

SELECT tables_are('auth', ARRAY['audit', 'bucket', 'guess', 'refresh_token', 'revocation', 'schema_version',
                                 'service_account', 'session', 'users']);
SELECT is((SELECT max(version) FROM auth.schema_version), 7, 'the version of the schema');
SELECT results_eq(
    $$ SELECT format('%s.%s %s%s', attrelid::regclass, attname, format_type(atttypid, atttypmod),
                     CASE WHEN attnotnull THEN '' ELSE ' null' END) COLLATE "default"
         FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace = 'auth'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
        ORDER BY attrelid::regclass::text COLLATE "C", attnum $$,
    ARRAY['auth.audit.id bigint', 'auth.audit.recorded_at timestamp with time zone', 'auth.audit.event text',
          'auth.audit.outcome text', 'auth.audit.actor text null', 'auth.audit.subject text null',
          'auth.audit.reason text null', 'auth.audit.request_id text null', 'auth.audit.address text null',
          'auth.audit.agent text null', 'auth.audit.detail jsonb',
          'auth.bucket.name text', 'auth.bucket.full_at timestamp with time zone',
          'auth.guess.key bytea', 'auth.guess.known boolean', 'auth.guess.failures integer',
          'auth.guess.wait_until timestamp with time zone', 'auth.guess.used_at timestamp with time zone',
          'auth.refresh_token.hash bytea', 'auth.refresh_token.session_id uuid',
          'auth.refresh_token.used_at timestamp with time zone null', 'auth.refresh_token.successor bytea null',
          'auth.revocation.subject uuid', 'auth.revocation.kind text',
          'auth.revocation.issued_up_to timestamp with time zone',
          'auth.revocation.expires_at timestamp with time zone', 'auth.revocation.recorded_xid xid8',
          'auth.schema_version.version integer', 'auth.schema_version.deployed_at timestamp with time zone',
          'auth.service_account.id uuid', 'auth.service_account.name text', 'auth.service_account.secret_hash bytea',
          'auth.service_account.roles text[]', 'auth.service_account.created_by uuid',
          'auth.service_account.created_at timestamp with time zone',
          'auth.service_account.disabled_at timestamp with time zone null',
          'auth.session.id uuid', 'auth.session.user_id uuid', 'auth.session.created_at timestamp with time zone',
          'auth.session.last_used_at timestamp with time zone', 'auth.session.idle_ends_at timestamp with time zone',
          'auth.session.ends_at timestamp with time zone', 'auth.session.access_until timestamp with time zone',
          'auth.session.address text', 'auth.session.agent text',
          'auth.session.ended_at timestamp with time zone null', 'auth.session.end_reason text null',
          'auth.users.id uuid', 'auth.users.username text', 'auth.users.password_hash text',
          'auth.users.created_at timestamp with time zone', 'auth.users.roles text[]',
          'auth.users.disabled_at timestamp with time zone null'],
    'every column, its type and whether it may be null');
SELECT col_is_pk('auth', 'users', ARRAY['id'], 'key of users');
SELECT is((SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'users_username_key'),
          'UNIQUE (username)', 'users_username_key');

-- Rights.
SELECT results_eq(
    $$ SELECT format('%s %s', relname, string_agg(privilege, ' ' ORDER BY privilege)) COLLATE "default"
         FROM pg_class,
              unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
              AS privilege
        WHERE relnamespace = 'auth'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
          AND has_table_privilege('auth_service', oid, privilege)
        GROUP BY relname
        ORDER BY relname COLLATE "C" $$,
    ARRAY['audit SELECT', 'bucket DELETE INSERT SELECT UPDATE', 'guess DELETE INSERT SELECT UPDATE',
          'refresh_token INSERT SELECT', 'revocation INSERT SELECT', 'schema_version SELECT',
          'service_account INSERT SELECT', 'session INSERT SELECT', 'users INSERT SELECT'],
    'auth_service: rights on whole tables');
SELECT results_eq(
    $$ SELECT format('%s.%s %s', relname, attname, privilege) COLLATE "default"
         FROM pg_class c
         JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped,
              unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS privilege
        WHERE relnamespace = 'auth'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
          AND has_column_privilege('auth_service', c.oid, attnum, privilege)
          AND NOT has_table_privilege('auth_service', c.oid, privilege)
        ORDER BY 1 $$,
    ARRAY['audit.actor INSERT', 'audit.address INSERT', 'audit.agent INSERT', 'audit.detail INSERT',
          'audit.event INSERT', 'audit.outcome INSERT', 'audit.reason INSERT', 'audit.request_id INSERT',
          'audit.subject INSERT', 'refresh_token.successor UPDATE', 'refresh_token.used_at UPDATE',
          'revocation.expires_at UPDATE', 'revocation.issued_up_to UPDATE', 'revocation.recorded_xid UPDATE',
          'service_account.disabled_at UPDATE',
          'session.access_until UPDATE', 'session.end_reason UPDATE', 'session.ended_at UPDATE',
          'session.idle_ends_at UPDATE', 'session.last_used_at UPDATE', 'users.disabled_at UPDATE', 'users.password_hash UPDATE', 'users.roles UPDATE'],
    'auth_service: rights on single columns');
SELECT results_eq(
    $$ SELECT proname::text COLLATE "default" FROM pg_proc
        WHERE pronamespace = 'auth'::regnamespace AND has_function_privilege('auth_service', oid, 'EXECUTE')
        ORDER BY proname COLLATE "C" $$,
    ARRAY['admin_is_good', 'audit_write', 'bucket_give', 'bucket_take', 'bucket_wait', 'caller_is_good', 'client_begin',
          'guesses_forget',
          'limit_note', 'login_begin', 'login_failed', 'login_passed', 'login_undone', 'password_change', 'revocations', 'seconds_left', 'service_account_create',
          'service_account_disable', 'session_end',
          'session_open', 'session_refresh', 'sessions_forget', 'tokens_revoke', 'user_change', 'user_revoke', 'user_unlock', 'utc'],
    'auth_service: the functions that it may call');
SELECT is_empty(
    $$ SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'auth'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE') $$,
    'PUBLIC: no function');
SELECT is_empty(
    $$ SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'auth'::regnamespace AND NOT coalesce(proconfig::text LIKE '%search_path=%', false) $$,
    'every function has a search path of its own');
SELECT is_empty(
    $$ SELECT nspname FROM pg_namespace
        WHERE nspname !~ '^pg_' AND has_schema_privilege('auth_service', oid, 'CREATE') $$,
    'auth_service: makes nothing in any schema');
SELECT ok(has_schema_privilege('auth_service', 'auth', 'USAGE'), 'auth_service: uses the schema auth');
SELECT ok(NOT has_schema_privilege('auth_service', 'sqitch', 'USAGE'),
          'auth_service: does not see the registry of migrations');
SELECT ok(has_database_privilege('auth_service', current_database(), 'CONNECT'), 'auth_service: connects');
SELECT ok(NOT has_database_privilege('auth_service', current_database(), 'CREATE, TEMPORARY'),
          'auth_service: makes no schema and no temporary table');
SELECT ok(NOT has_database_privilege('wallet_service', current_database(), 'CONNECT, CREATE, TEMPORARY'),
          'wallet_service: does not come in')
 WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = 'wallet_service')
 UNION ALL
SELECT pass('wallet_service: does not exist')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'wallet_service');
SELECT is_empty(
    $$ SELECT relname, privilege FROM pg_class,
              unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
              AS privilege
        WHERE relnamespace = 'auth'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
          AND has_table_privilege('public', oid, privilege) $$,
    'PUBLIC: nothing on tables');
SELECT is_empty(
    $$ SELECT attrelid::regclass, attname, privilege_type
         FROM pg_attribute JOIN pg_class c ON c.oid = attrelid, aclexplode(attacl)
        WHERE relnamespace = 'auth'::regnamespace AND grantee = 0 $$,
    'PUBLIC: nothing on columns');
SELECT ok(NOT has_schema_privilege('public', 'auth', 'USAGE, CREATE'), 'PUBLIC: not the schema');
SELECT ok(NOT has_database_privilege('public', current_database(), 'CONNECT, CREATE, TEMPORARY'),
          'PUBLIC: not the database');
SELECT is_empty(
    $$ SELECT rolname FROM pg_roles
        WHERE rolname IN ('auth_service', 'auth_owner')
          AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls) $$,
    'neither role has powers over the server');
SELECT is_empty(
    $$ SELECT roleid::regrole, member::regrole FROM pg_auth_members
        WHERE member = 'auth_service'::regrole $$,
    'auth_service is a member of nothing');

-- Rows.
CREATE FUNCTION pg_temp.new_user(username text, password_hash text DEFAULT '$2b$12$x') RETURNS text LANGUAGE sql
AS $$ SELECT format('INSERT INTO auth.users (id, username, password_hash) VALUES (gen_random_uuid(), %L, %L)',
                    username, password_hash) $$;
SET ROLE auth_service;
SELECT lives_ok(pg_temp.new_user('Alice_1.x-y'), 'a user');
SELECT throws_ok(pg_temp.new_user('Alice_1.x-y'), '23505',
                 'duplicate key value violates unique constraint "users_username_key"', 'a name is used once');
SELECT lives_ok(pg_temp.new_user('alice_1.x-y'), 'names are compared byte by byte');
SELECT throws_ok(pg_temp.new_user('al'), '23514', NULL, 'a name of 2 characters');
SELECT lives_ok(pg_temp.new_user(repeat('a', 64)), 'a name of 64 characters');
SELECT throws_ok(pg_temp.new_user(repeat('a', 65)), '23514', NULL, 'a name of 65 characters');
SELECT throws_ok(pg_temp.new_user('alice bob'), '23514', NULL, 'a name with a blank');
SELECT throws_ok(pg_temp.new_user(E'alice\n'), '23514', NULL, 'a name with a line end');
SELECT throws_ok(pg_temp.new_user('алиса'), '23514', NULL, 'a name that is not ASCII');
SELECT throws_ok(pg_temp.new_user('carol', ''), '23514', NULL, 'an empty hash');
SELECT lives_ok($$ UPDATE auth.users SET password_hash = 'new' $$, 'the service changes a password');
SELECT is((SELECT roles FROM auth.users WHERE username = 'Alice_1.x-y'), '{user}', 'a new user is a user');
SELECT lives_ok($$ UPDATE auth.users SET roles = '{auditor,admin}' $$, 'roles that exist');
SELECT throws_ok($$ UPDATE auth.users SET roles = '{root}' $$, '23514', NULL, 'a role that does not exist');
SELECT throws_ok($$ UPDATE auth.users SET roles = '{user,NULL}' $$, '23514', NULL, 'no role');
SELECT lives_ok($$ UPDATE auth.users SET roles = '{}' $$, 'a user without any role');
SELECT lives_ok($$ UPDATE auth.users SET disabled_at = now() $$, 'the service disables a user');
SELECT throws_ok($$ UPDATE auth.users SET username = 'eve' $$, '42501', NULL, 'but not a name');
SELECT throws_ok($$ DELETE FROM auth.users $$, '42501', NULL, 'and deletes nobody');
SELECT throws_ok($$ INSERT INTO auth.schema_version (version) VALUES (9) $$, '42501', NULL,
                 'and sets no version');
SELECT * FROM finish();
ROLLBACK;
