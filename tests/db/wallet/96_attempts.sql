-- Attempts of operators are made in the order of their numbers, or not at all.
BEGIN;
SELECT plan(11);

CREATE FUNCTION pg_temp.attempt(name text, number bigint, ledger text DEFAULT 'main') RETURNS integer LANGUAGE sql
AS $$ SELECT ledger.begin_attempt(tap.ledger(ledger), tap.account(name), number) $$;
CREATE FUNCTION pg_temp.freeze(name text, number bigint) RETURNS text LANGUAGE sql
AS $$
    SELECT s.outcome FROM ledger.set_account_status(
        ledger.begin_attempt(tap.ledger('main'), tap.account(name), number), tap.account(name), 'frozen',
        tap.principal(), 'why', '{}') s
$$;

SET ROLE wallet_service;
SELECT cmp_ok(ledger.next_attempt(), '<', ledger.next_attempt(), 'each gets a number of its own');
SELECT is(pg_temp.attempt('alice', 5), tap.ledger('main'), 'the first one is made');
SELECT is(pg_temp.attempt('alice', 7), tap.ledger('main'), 'a later one');
SELECT throws_ok($$ SELECT pg_temp.attempt('alice', 6) $$, 'PC040', NULL, 'one that comes late is not');
SELECT throws_ok($$ SELECT pg_temp.attempt('alice', 7) $$, 'PC040', NULL, 'nor one twice');
SELECT is(pg_temp.attempt('bob', 6), tap.ledger('main'), 'on something else it is');
SELECT is(pg_temp.attempt('alice', 6, 'second'), tap.ledger('second'), 'and in another ledger');
SELECT throws_ok($$ SELECT pg_temp.freeze('alice', 6) $$, 'PC040', NULL, 'so nothing is done');
SELECT is_empty($$ SELECT FROM ledger.account WHERE id = tap.account('alice') AND status <> 'open' $$, 'nothing at all');
SELECT is(pg_temp.freeze('alice', 8), 'done', 'unless it is the latest');
SELECT throws_ok($$ DELETE FROM ledger.attempt $$, '42501', NULL, 'the service does not forget any');
SELECT * FROM finish();
ROLLBACK;
