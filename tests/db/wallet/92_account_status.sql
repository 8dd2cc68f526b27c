-- Operators freeze, open and close accounts by a function alone, and each attempt is in the audit trail.
BEGIN;
SELECT plan(19);

CREATE FUNCTION pg_temp.set(name text, status text, ledger text DEFAULT 'main') RETURNS text LANGUAGE sql
AS $$
    SELECT s.outcome FROM ledger.set_account_status(tap.ledger(ledger), tap.account(name), status, tap.principal(),
                                                    'why', '{"request_id": "r", "address": "::1"}') s
$$;
CREATE FUNCTION pg_temp.status(name text) RETURNS text LANGUAGE sql
AS $$ SELECT status FROM ledger.account WHERE id = tap.account(name) $$;

SET ROLE wallet_service;
SELECT is(pg_temp.set('alice', 'frozen'), 'done', 'frozen');
SELECT is(pg_temp.status('alice'), 'frozen');
SELECT is((SELECT revision FROM ledger.balance WHERE account_id = tap.account('alice')), 1::bigint,
          'whoever remembers the snapshot notices');
SELECT is(pg_temp.set('alice', 'frozen'), 'done', 'frozen once more');
SELECT is((SELECT revision FROM ledger.balance WHERE account_id = tap.account('alice')), 1::bigint,
          'changes nothing');
SELECT is(pg_temp.set('alice', 'closed'), 'account_not_empty', 'with money in it it is not closed');
SELECT is(pg_temp.set('alice', 'open'), 'done', 'open again');
SELECT is(pg_temp.set('carol', 'closed'), 'done', 'an empty one is');
SELECT is(pg_temp.set('carol', 'open'), 'account_closed', 'for ever');
SELECT is(pg_temp.set('carol', 'frozen'), 'account_closed', 'in whichever way');
SELECT is(pg_temp.status('carol'), 'closed');
UPDATE ledger.balance SET held = 1 WHERE account_id = tap.account('erin');
SELECT is(pg_temp.set('erin', 'closed'), 'account_not_empty', 'what is held counts, too');
SELECT is(pg_temp.set('USD', 'frozen'), 'settlement_account', 'a settlement account stays open');
SELECT is(pg_temp.set('USD', 'closed'), 'settlement_account', 'though it is empty');
SELECT is(pg_temp.set('nobody', 'frozen'), 'account_not_found');
SELECT is(pg_temp.set('alice', 'frozen', 'second'), 'account_not_found', 'the account of another ledger');
SELECT throws_ok($$ SELECT pg_temp.set('alice', 'melted') $$, '23514', NULL, 'a status that is none');
SELECT results_eq(
    $$ SELECT format('%s %s %s', event, outcome, detail ->> 'outcome') COLLATE "default" FROM ledger.audit ORDER BY id LIMIT 4 $$,
    ARRAY['account_frozen success done', 'account_frozen success done', 'account_closed failure account_not_empty',
          'account_unfrozen success done'], 'each attempt is told');
SELECT is((SELECT count(*)::int FROM ledger.audit
            WHERE actor = tap.principal()::text AND reason = 'why' AND request_id = 'r' AND address = '::1'), 12,
          'with who, why and from where');

SELECT * FROM finish();
ROLLBACK;
