-- Adjustments by hand: proposals and decisions, what refuses them, and that two are needed.
BEGIN;
SELECT plan(38);

CREATE FUNCTION pg_temp.propose(key text, debit text, credit text, amount text, effective_at text DEFAULT NULL,
                                reason text DEFAULT 'why') RETURNS text LANGUAGE sql
AS $$
    SELECT p.outcome FROM ledger.propose_entry(
        tap.ledger('main'),
        CASE WHEN EXISTS (SELECT FROM ledger.adjustment a WHERE a.id = tap.transaction(key)) THEN gen_random_uuid()
             ELSE tap.transaction(key) END,
        debit, credit, amount::numeric, effective_at::timestamptz,
        tap.principal(), key, reason, '{"address": "::1"}') p
$$;
CREATE FUNCTION pg_temp.decide(key text, approve boolean, who uuid DEFAULT '0a000000-0000-4000-8000-000000000001')
RETURNS text LANGUAGE sql
AS $$
    SELECT d.outcome FROM ledger.decide_adjustment(tap.ledger('main'), tap.transaction(key), approve, who, 'seen',
                                                   '{"address": "::1"}') d
$$;
CREATE FUNCTION pg_temp.posted(name text) RETURNS numeric LANGUAGE sql
AS $$ SELECT posted FROM ledger.balance WHERE account_id = tap.account(name) $$;
CREATE FUNCTION pg_temp.code(name text) RETURNS text LANGUAGE sql
AS $$ SELECT code FROM ledger.account WHERE id = tap.account(name) $$;

SET ROLE wallet_service;
SELECT is(pg_temp.propose('fee', pg_temp.code('alice'), 'assets:settlement:RUB', '12.50'), 'done', 'by codes');
SELECT is(pg_temp.posted('alice'), -7000::numeric, 'a proposal moves nothing');
SELECT is(pg_temp.propose('fee', tap.account('alice')::text, 'assets:settlement:RUB', '12.5'), 'duplicate',
          'the same request again, by id and with another zero');
SELECT is(pg_temp.propose('fee', pg_temp.code('alice'), 'assets:settlement:RUB', '12.51'), 'duplicate_changed',
          'the same key for another amount');
SELECT is(pg_temp.propose('fee', 'assets:nowhere', 'assets:settlement:RUB', '12.501'), 'duplicate_changed',
          'or for what would be refused');
SELECT is(pg_temp.decide('fee', true, tap.principal()), 'own_proposal', 'nobody approves his own');
SELECT is(pg_temp.decide('fee', true), 'done', 'somebody else does');
SELECT is(pg_temp.posted('alice'), -5750::numeric, 'which posts it');
SELECT results_eq(
    format($$ SELECT kind::text COLLATE "default", principal, description, metadata ->> 'approved_by',
                     effective_at = created_at FROM ledger.transaction WHERE id = %L $$, tap.transaction('fee')),
    $$ VALUES ('adjustment', tap.principal(), 'why', '0a000000-0000-4000-8000-000000000001', true) $$,
    'with both names and the reason');
SELECT is(pg_temp.decide('fee', true), 'done', 'once more is the same');
SELECT is(pg_temp.posted('alice'), -5750::numeric, 'and moves nothing');
SELECT is(pg_temp.decide('fee', false), 'adjustment_decided', 'what is approved is not rejected');
SELECT is(pg_temp.decide('fee', true, '0a000000-0000-4000-8000-000000000002'), 'adjustment_decided',
          'or approved by a third');
SELECT is(pg_temp.decide('nothing', true), 'adjustment_not_found');

-- What is not proposed.
SELECT is(pg_temp.propose('a', 'assets:nowhere', 'assets:settlement:RUB', '1'), 'account_not_found');
SELECT is(pg_temp.propose('a', pg_temp.code('alice'), tap.account('alice')::text, '1'), 'same_account');
SELECT is(pg_temp.propose('a', pg_temp.code('alice'), 'assets:settlement:USD', '1'), 'asset_mismatch');
SELECT is(pg_temp.propose('a', pg_temp.code('alice'), 'assets:settlement:RUB', '0.001'), 'amount_too_precise');
SELECT is(pg_temp.propose('a', pg_temp.code('alice'), 'assets:settlement:RUB', repeat('9', 37)), 'amount_too_large');
SELECT is(ledger.close_period(tap.ledger('main'), '2026-02-01 00:00Z', tap.principal(), 'why', '{}'), 'done');
SELECT is(pg_temp.propose('a', pg_temp.code('alice'), 'assets:settlement:RUB', '1', '2026-01-31 12:00Z'),
          'period_locked');

-- What refuses to be posted, and stays proposed.
SELECT is(pg_temp.propose('b', pg_temp.code('alice'), 'assets:settlement:RUB', '9999'), 'done');
SELECT is(pg_temp.decide('b', true), 'insufficient_funds', 'what an account lacks');
SELECT is(pg_temp.propose('c', pg_temp.code('alice'), 'assets:settlement:RUB', '1', '2026-02-15 12:00Z'), 'done');
RESET ROLE;
UPDATE ledger.account SET status = 'frozen' WHERE id = tap.account('alice');
SET ROLE wallet_service;
SELECT is(pg_temp.decide('c', true), 'account_frozen', 'a frozen one gives nothing');
RESET ROLE;
UPDATE ledger.account SET status = 'closed' WHERE id = tap.account('alice');
SET ROLE wallet_service;
SELECT is(pg_temp.decide('c', true), 'account_closed', 'a closed one takes part in nothing');
RESET ROLE;
UPDATE ledger.account SET status = 'open' WHERE id = tap.account('alice');
SET ROLE wallet_service;
SELECT is(ledger.close_period(tap.ledger('main'), '2026-03-01 00:00Z', tap.principal(), 'why', '{}'), 'done');
SELECT is(pg_temp.decide('c', true), 'period_locked', 'nor what was closed since it was proposed');
SELECT is(pg_temp.decide('c', false, tap.principal()), 'done', 'its proposer may take it back');
SELECT is(pg_temp.decide('c', true), 'adjustment_decided');
SELECT is(pg_temp.posted('alice'), -5750::numeric, 'nothing moved by any of these');
SELECT is((SELECT sum(amount) FROM ledger.entry WHERE account_id = tap.account('alice')), -5750::numeric);

-- They stay, and the table itself wants two.
SELECT throws_ok(format($$ INSERT INTO ledger.adjustment_decision (ledger_id, adjustment_id, proposed_by, approved,
                               decided_by, reason) VALUES (%s, %L, %L, true, %3$L, 'x') $$,
                        tap.ledger('main'), tap.transaction('b'), tap.principal()), '23514', NULL, 'four eyes');
SELECT throws_ok(format($$ INSERT INTO ledger.adjustment_decision (ledger_id, adjustment_id, proposed_by, approved,
                               decided_by, reason) VALUES (%s, %L, gen_random_uuid(), true, %L, 'x') $$,
                        tap.ledger('main'), tap.transaction('b'), tap.principal()), '23503', NULL,
                 'of the one who proposed it');
SET ROLE wallet_owner;
SELECT throws_ok('DELETE FROM ledger.adjustment_decision', 'PC010', NULL, 'a decision stays');
SELECT throws_ok('UPDATE ledger.adjustment SET amount = 1', 'PC010', NULL, 'and so does what was proposed');
RESET ROLE;
SELECT is((SELECT count(*)::int FROM ledger.audit WHERE event = 'adjustment_proposed' AND outcome = 'success'), 3,
          'what was proposed is in the audit trail');
SELECT is((SELECT count(*)::int FROM ledger.audit WHERE event LIKE 'adjustment_%' AND outcome = 'failure'), 18,
          'what was refused, too');

SELECT * FROM finish();
ROLLBACK;
