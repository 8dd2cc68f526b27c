-- A reversal: what it writes, when it is refused, and that it happens once.
BEGIN;
SELECT plan(24);

CREATE FUNCTION pg_temp.reverse(name text, key text DEFAULT NULL, reason text DEFAULT 'why') RETURNS text LANGUAGE sql
AS $$
    SELECT r.outcome FROM ledger.reverse_transaction(
        tap.ledger('main'), tap.transaction('reversal ' || coalesce(key, name)), tap.transaction(name),
        tap.principal(), coalesce(key, 'reversal of ' || name), reason, '{"address": "::1"}') r
$$;
CREATE FUNCTION pg_temp.posted(name text) RETURNS numeric LANGUAGE sql
AS $$ SELECT posted FROM ledger.balance WHERE account_id = tap.account(name) $$;

SET ROLE wallet_service;
SELECT is(pg_temp.reverse('first'), 'insufficient_funds', 'alice has spent of what she got');
SELECT is(pg_temp.reverse('second'), 'done', 'bob gives back what he got');
SELECT is(pg_temp.posted('alice'), -10000::numeric);
SELECT is(pg_temp.posted('bob'), 0::numeric);
SELECT results_eq(
    format($$ SELECT kind::text COLLATE "default", description, reverses FROM ledger.transaction WHERE id = %L $$,
           tap.transaction('reversal second')),
    $$ VALUES ('reversal', 'why', tap.transaction('second')) $$, 'it names the other one, and why');
SELECT results_eq(
    format($$ SELECT e.account_id, e.seq, -e.amount, e.balance_after FROM ledger.entry e
               WHERE e.transaction_id = %L ORDER BY e.amount $$, tap.transaction('reversal second')),
    $$ SELECT e.account_id, b.entries, e.amount, b.posted
         FROM ledger.entry e JOIN ledger.balance b USING (account_id)
        WHERE e.transaction_id = tap.transaction('second') ORDER BY e.amount DESC $$,
    'its entries are the other''s turned round, the newest of their accounts');
SELECT is(pg_temp.reverse('second'), 'duplicate', 'the same request again');
SELECT is(pg_temp.reverse('second', NULL, 'another'), 'duplicate_changed', 'the same key for another reason');
SELECT is(pg_temp.reverse('first', 'reversal of second'), 'duplicate_changed', 'or for another transaction');
SELECT is(pg_temp.reverse('second', 'another key'), 'already_reversed', 'it is reversed once');
SELECT is(pg_temp.reverse('reversal second'), 'reversal_of_reversal', 'a reversal is not reversed');
SELECT is(pg_temp.reverse('nothing'), 'transaction_not_found');
SELECT is(pg_temp.posted('bob'), 0::numeric, 'nothing moved by any of these');
SELECT is((SELECT r.answer FROM ledger.reverse_transaction(
              tap.ledger('main'), tap.transaction('unused'), tap.transaction('second'), tap.principal(),
              'reversal of second', 'why', '{}') r),
          format('{"status" : "success", "transaction" : "%s", "reverses" : "%s"}',
                 tap.transaction('reversal second'), tap.transaction('second')), 'a repetition gets the first answer');

-- The accounts must be able to.
RESET ROLE;
UPDATE ledger.account SET status = 'frozen' WHERE id = tap.account('alice');
SET ROLE wallet_service;
SELECT is(pg_temp.reverse('first'), 'account_frozen', 'from a frozen account nothing is taken');
RESET ROLE;
UPDATE ledger.account SET status = 'closed' WHERE id = tap.account('alice');
SET ROLE wallet_service;
SELECT is(pg_temp.reverse('first'), 'account_closed', 'a closed one takes part in nothing');
RESET ROLE;
UPDATE ledger.account SET status = 'open' WHERE id = tap.account('alice');
UPDATE ledger.balance SET held = 1 WHERE account_id = tap.account('alice');
SET ROLE wallet_service;
SELECT is(pg_temp.reverse('first'), 'insufficient_funds', 'what is held stays');
UPDATE ledger.balance SET held = 0 WHERE account_id = tap.account('alice');
SELECT is(pg_temp.reverse('first'), 'done', 'with the money there it is done');
SELECT is(pg_temp.posted('RUB'), 0::numeric, 'the settlement account is where it was');

-- A transaction with several entries on one account.
SELECT lives_ok(tap.post('third', 'RUB 500, alice -300, alice -200', 'main', 'deposit'));
SELECT is(pg_temp.reverse('third'), 'done', 'several entries on one account');
SELECT results_eq(
    $$ SELECT e.seq, e.balance_after FROM ledger.entry e
        WHERE e.transaction_id = tap.transaction('reversal third') AND e.account_id = tap.account('alice')
        ORDER BY e.seq $$,
    $$ VALUES (7::bigint, -300::numeric), (8::bigint, 0::numeric) $$, 'from the last to the first');
SELECT is((SELECT count(*)::int FROM ledger.audit WHERE event = 'transaction_reversed' AND outcome = 'success'), 3,
          'what was done is in the audit trail');
SELECT is((SELECT count(*)::int FROM ledger.audit
            WHERE event = 'transaction_reversed' AND outcome = 'failure' AND detail ->> 'outcome' IS NOT NULL), 11,
          'what was refused, too');

SELECT * FROM finish();
ROLLBACK;
