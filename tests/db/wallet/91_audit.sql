-- The audit trail: what a row may be, and that it stays.
BEGIN;
SELECT plan(14);

SET ROLE wallet_service;
SELECT lives_ok($$ SELECT ledger.audit_write('account_frozen', 'success', 'a', 'b', 'why',
    jsonb_build_object('request_id', repeat('r', 99), 'address', '::1', 'agent', repeat('x', 999))) $$,
    'an event');
SELECT is((SELECT format('%s %s %s', length(request_id), address, length(agent)) FROM ledger.audit), '64 ::1 256',
          'what a client sends is cut to what fits');
SELECT lives_ok($$ SELECT ledger.audit_write('authz_fail', 'failure', NULL, NULL, NULL, '{}', NULL) $$,
                'an event of nobody, from nowhere');
SELECT throws_ok($$ SELECT ledger.audit_write('A b', 'success', NULL, NULL, NULL, '{}') $$, '23514', NULL,
                 'a name that is none');
SELECT throws_ok($$ SELECT ledger.audit_write('abc', 'maybe', NULL, NULL, NULL, '{}') $$, '23514', NULL,
                 'an outcome that is none');
SELECT throws_ok($$ SELECT ledger.audit_write('abc', 'success', NULL, NULL, repeat('a', 257), '{}') $$, '23514',
                 NULL, 'a reason that is too long');
SELECT throws_ok($$ INSERT INTO ledger.audit (event, outcome, recorded_at) VALUES ('abc', 'success', now()) $$,
                 '42501', NULL, 'the service does not set the time');
SELECT throws_ok($$ UPDATE ledger.audit SET outcome = 'failure' $$, '42501', NULL, 'and changes no row');
SELECT throws_ok($$ DELETE FROM ledger.audit $$, '42501', NULL, 'and deletes none');
SELECT throws_ok($$ TRUNCATE ledger.audit $$, '42501', NULL, 'and empties nothing');
SET ROLE wallet_owner;
SELECT throws_ok($$ UPDATE ledger.audit SET outcome = 'failure' $$, 'PC010', NULL, 'nor does the owner change one');
SELECT throws_ok($$ DELETE FROM ledger.audit WHERE false $$, 'PC010', NULL, 'or delete one');
SELECT throws_ok($$ TRUNCATE ledger.audit $$, 'PC010', NULL, 'or empty it');
SELECT is((SELECT count(*)::int FROM ledger.audit), 2, 'all rows are there');

SELECT * FROM finish();
ROLLBACK;
