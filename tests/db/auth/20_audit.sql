-- The audit trail: what a row may be, and that it stays.
BEGIN;
SELECT plan(22);

CREATE FUNCTION pg_temp.row(event text, outcome text DEFAULT 'success', actor text DEFAULT 'a',
                            agent text DEFAULT 'curl') RETURNS text LANGUAGE sql
AS $$ SELECT format('INSERT INTO auth.audit (event, outcome, actor, agent) VALUES (%L, %L, %L, %L)',
                    event, outcome, actor, agent) $$;
SET ROLE auth_service;
SELECT lives_ok(pg_temp.row('authn_login_success'), 'an event');
SELECT lives_ok(pg_temp.row('authn_login_fail', 'failure', NULL), 'an event of nobody');
SELECT throws_ok(pg_temp.row('Login'), '23514', NULL, 'a name with a capital');
SELECT throws_ok(pg_temp.row('a b c'), '23514', NULL, 'a name with blanks');
SELECT throws_ok(pg_temp.row(repeat('a', 65)), '23514', NULL, 'a name that is too long');
SELECT throws_ok(pg_temp.row('authz_fail', 'maybe'), '23514', NULL, 'an outcome that is none');
SELECT throws_ok(pg_temp.row('authz_fail', 'failure', repeat('a', 129)), '23514', NULL, 'a long actor');
SELECT throws_ok(pg_temp.row('authz_fail', 'failure', 'a', repeat('a', 257)), '23514', NULL, 'a long agent');
SELECT lives_ok($$ SELECT auth.audit_write('user_created', 'success', 'a', 'b', NULL,
    jsonb_build_object('request_id', repeat('r', 99), 'address', '::1', 'agent', repeat('x', 999))) $$,
    'audit_write cuts what a client sends');
SELECT is((SELECT format('%s %s %s', length(request_id), address, length(agent)) FROM auth.audit
            WHERE event = 'user_created'), '64 ::1 256', 'to what fits');
SELECT lives_ok($$ SELECT auth.audit_write('user_updated', 'success', NULL, NULL, NULL, '{}', NULL) $$,
    'and takes an origin without members');
SELECT throws_ok($$ INSERT INTO auth.audit (event, outcome, recorded_at) VALUES ('abc', 'success', now()) $$,
    '42501', NULL, 'the service does not set the time');
SELECT throws_ok($$ INSERT INTO auth.audit (id, event, outcome) VALUES (1, 'abc', 'success') $$,
    '428C9', NULL, 'nor the number');
SELECT throws_ok($$ INSERT INTO auth.audit (event, outcome, detail) VALUES ('abc', 'success', '[]') $$,
    '23514', NULL, 'a detail that is no object');
SELECT throws_ok($$ INSERT INTO auth.audit (event, outcome, detail)
                    VALUES ('abc', 'success', jsonb_build_object('a', repeat('x', 5000))) $$,
    '23514', NULL, 'a detail that is too long');
SELECT throws_ok($$ UPDATE auth.audit SET outcome = 'failure' $$, '42501', NULL, 'the service changes no row');
SELECT throws_ok($$ DELETE FROM auth.audit $$, '42501', NULL, 'and deletes none');
SELECT throws_ok($$ TRUNCATE auth.audit $$, '42501', NULL, 'and empties nothing');
SET ROLE auth_owner;
SELECT throws_ok($$ UPDATE auth.audit SET outcome = 'failure' $$, 'PC010', NULL, 'nor does the owner change one');
SELECT throws_ok($$ DELETE FROM auth.audit WHERE false $$, 'PC010', NULL, 'or delete one');
SELECT throws_ok($$ TRUNCATE auth.audit $$, 'PC010', NULL, 'or empty it');
SELECT is((SELECT count(*)::int FROM auth.audit), 4, 'all rows are there');
SELECT * FROM finish();
ROLLBACK;
