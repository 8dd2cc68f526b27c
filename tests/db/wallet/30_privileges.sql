-- Every right in the database, walked over whatever tables there are: one right more, or one table more,
-- fails here.
BEGIN;
SELECT plan(24);

-- wallet_service, table by table.
SELECT results_eq(
    $$ SELECT format('%s %s', relname, string_agg(privilege, ' ' ORDER BY privilege)) COLLATE "default"
         FROM pg_class,
              unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
              AS privilege
        WHERE relnamespace = 'ledger'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
          AND has_table_privilege('wallet_service', oid, privilege)
        GROUP BY relname
        ORDER BY relname COLLATE "C" $$,
    ARRAY['account INSERT SELECT', 'adjustment INSERT SELECT', 'adjustment_decision INSERT SELECT', 'asset SELECT', 'audit SELECT', 'balance INSERT SELECT', 'check_run SELECT',
          'entry INSERT SELECT',
          'ledger SELECT', 'period SELECT', 'period_report SELECT', 'schema_version SELECT', 'statement INSERT SELECT', 'statement_break INSERT SELECT',
          'statement_break_event INSERT SELECT', 'statement_line INSERT SELECT', 'statement_match INSERT SELECT',
          'statement_match_entry INSERT SELECT', 'statement_match_line INSERT SELECT',
          'transaction INSERT SELECT'],
    'wallet_service: rights on whole tables');
SELECT results_eq(
    $$ SELECT format('%s.%s %s', relname, attname, privilege) COLLATE "default"
         FROM pg_class c
         JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped,
              unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS privilege
        WHERE relnamespace = 'ledger'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
          AND has_column_privilege('wallet_service', c.oid, attnum, privilege)
          AND NOT has_table_privilege('wallet_service', c.oid, privilege)
        ORDER BY 1 $$,
    ARRAY['audit.actor INSERT', 'audit.address INSERT', 'audit.agent INSERT', 'audit.detail INSERT',
          'audit.event INSERT', 'audit.outcome INSERT', 'audit.reason INSERT', 'audit.request_id INSERT',
          'audit.subject INSERT', 'balance.entries UPDATE', 'balance.held UPDATE', 'balance.posted UPDATE',
          'balance.revision UPDATE', 'check_run.cluster INSERT', 'check_run.differences INSERT', 'check_run.entries INSERT', 'check_run.findings INSERT',
          'check_run.ledger_id INSERT', 'check_run.mode INSERT', 'check_run.started_at INSERT', 'check_run.transactions INSERT', 'check_run.watermark INSERT'],
    'wallet_service: rights on single columns');
SELECT is_empty(
    $$ SELECT relname FROM pg_class, unnest(ARRAY['USAGE', 'SELECT', 'UPDATE']) AS privilege
        WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'S'
          AND has_sequence_privilege('wallet_service', oid, privilege) $$,
    'wallet_service: no right on a sequence');
SELECT results_eq(
    $$ SELECT oid::regprocedure::text FROM pg_proc
        WHERE pronamespace = 'ledger'::regnamespace AND has_function_privilege('wallet_service', oid, 'EXECUTE')
        ORDER BY 1 $$,
    ARRAY['ledger.account_named(integer,text)', 'ledger.adjustments_json(integer,integer)',
          'ledger.audit_write(text,text,text,text,text,jsonb,jsonb)',
          'ledger.begin_attempt(integer,uuid,bigint)',
          'ledger.close_period(integer,timestamp with time zone,uuid,text,jsonb)',
          'ledger.confirm_rows(bigint,bigint)',
          'ledger.decide_adjustment(integer,uuid,boolean,uuid,text,jsonb)', 'ledger.lock_reconciliation(integer)', 'ledger.next_attempt()',
          'ledger.periods_json(integer,timestamp with time zone,integer)',
          'ledger.post_adjustment(integer,uuid,text,uuid,text,numeric,text,jsonb)',
          'ledger.post_entry(integer,uuid,uuid,uuid,numeric,timestamp with time zone,uuid,text,bytea,text,jsonb)',
          'ledger.propose_entry(integer,uuid,text,text,numeric,timestamp with time zone,uuid,text,text,jsonb)',
          'ledger.propose_resolution(integer,uuid,bigint[],text,uuid,text,text,jsonb)',
          'ledger.record_adjustment(ledger.adjustment)',
          'ledger.resolve_breaks(integer,bigint[],text,text,text,text,uuid)',
          'ledger.reverse_transaction(integer,uuid,uuid,uuid,text,text,jsonb)',
          'ledger.set_account_status(integer,uuid,text,uuid,text,jsonb)', 'ledger.summarize_moments()',
          'ledger.trial_balance_text(integer,timestamp with time zone)',
          'ledger.write_period_report(integer,timestamp with time zone)'],
    'wallet_service: functions');
SELECT is_empty(
    $$ SELECT nspname FROM pg_namespace
        WHERE nspname !~ '^pg_' AND has_schema_privilege('wallet_service', oid, 'CREATE') $$,
    'wallet_service: makes nothing in any schema');
SELECT ok(has_schema_privilege('wallet_service', 'ledger', 'USAGE'), 'wallet_service: uses the schema ledger');
SELECT ok(NOT has_schema_privilege('wallet_service', 'sqitch', 'USAGE'),
          'wallet_service: does not see the registry of migrations');
SELECT ok(has_database_privilege('wallet_service', current_database(), 'CONNECT'), 'wallet_service: connects');
SELECT ok(NOT has_database_privilege('wallet_service', current_database(), 'CREATE, TEMPORARY'),
          'wallet_service: makes no schema and no temporary table');

-- PUBLIC.
SELECT is_empty(
    $$ SELECT relname, privilege FROM pg_class,
              unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
              AS privilege
        WHERE relnamespace = 'ledger'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'f')
          AND has_table_privilege('public', oid, privilege) $$,
    'PUBLIC: nothing on tables');
SELECT is_empty(
    $$ SELECT attrelid::regclass, attname, privilege_type
         FROM pg_attribute JOIN pg_class c ON c.oid = attrelid, aclexplode(attacl)
        WHERE relnamespace = 'ledger'::regnamespace AND grantee = 0 $$,
    'PUBLIC: nothing on columns');
SELECT is_empty(
    $$ SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'ledger'::regnamespace AND has_function_privilege('public', oid, 'EXECUTE') $$,
    'PUBLIC: no function');
SELECT ok(NOT has_schema_privilege('public', 'ledger', 'USAGE, CREATE'), 'PUBLIC: not the schema');
SELECT ok(NOT has_database_privilege('public', current_database(), 'CONNECT, CREATE, TEMPORARY'),
          'PUBLIC: not the database');

-- Roles.
SELECT is_empty(
    $$ SELECT rolname FROM pg_roles
        WHERE rolname IN ('wallet_service', 'wallet_owner')
          AND (rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls) $$,
    'neither role has powers over the server');
SELECT is_empty(
    $$ SELECT roleid::regrole, member::regrole FROM pg_auth_members
        WHERE member = 'wallet_service'::regrole $$,
    'wallet_service is a member of nothing');
SELECT is_empty(
    $$ SELECT relname, relowner::regrole FROM pg_class
        WHERE relnamespace = 'ledger'::regnamespace AND relowner <> 'wallet_owner'::regrole $$,
    'everything belongs to wallet_owner');
SELECT is_empty(
    $$ SELECT oid::regprocedure FROM pg_proc
        WHERE pronamespace = 'ledger'::regnamespace
          AND (proconfig IS NULL OR NOT 'search_path=pg_catalog, pg_temp' = ANY (proconfig)) $$,
    'functions have a fixed search_path');
SELECT results_eq(
    $$ SELECT proname::text COLLATE "default" FROM pg_proc
        WHERE pronamespace = 'ledger'::regnamespace AND prosecdef ORDER BY 1 $$,
    ARRAY['begin_attempt', 'close_period', 'next_attempt', 'set_account_status', 'summarize_moments', 'write_period_report'],
    'functions run with the caller''s rights, except for what the service may do in no other way');

-- Later functions of the owner are nobody's unless granted.
SET ROLE wallet_owner;
CREATE FUNCTION ledger.later() RETURNS integer LANGUAGE sql AS 'SELECT 1';
SET ROLE wallet_service;
SELECT throws_ok('SELECT ledger.later()', '42501', NULL, 'a later function is not executable by default');

-- Ways round the triggers.
SELECT throws_ok('SET session_replication_role = replica', '42501', NULL, 'triggers cannot be switched off');
SELECT throws_ok('ALTER TABLE ledger.entry DISABLE TRIGGER ALL', '42501', NULL, 'not one by one either');
SELECT throws_ok('DROP TABLE ledger.entry', '42501', NULL, 'tables cannot be dropped');
SELECT throws_ok($$ SELECT ledger.create_asset(1, 'XYZ', 2) $$, '42501', NULL, 'assets are the owner''s');
SELECT * FROM finish();
ROLLBACK;
