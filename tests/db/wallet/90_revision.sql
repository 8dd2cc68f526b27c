-- Whatever a decision rests on beside the entries is counted in the snapshot's revision.
BEGIN;
SELECT plan(12);

CREATE FUNCTION pg_temp.revision() RETURNS bigint LANGUAGE sql
AS $$ SELECT revision FROM ledger.balance WHERE account_id = tap.account('alice') $$;
CREATE FUNCTION pg_temp.change(what text) RETURNS text LANGUAGE sql
AS $$ SELECT format('UPDATE ledger.account SET %s WHERE id = %L', what, tap.account('alice')) $$;

SELECT is(pg_temp.revision(), 0::bigint, 'a new snapshot has revision 0');
SET ROLE wallet_owner;
SELECT lives_ok(pg_temp.change($$status = 'frozen'$$));
SELECT is(pg_temp.revision(), 1::bigint, 'status counts');
SELECT lives_ok(pg_temp.change('floor = -5'));
SELECT is(pg_temp.revision(), 2::bigint, 'floor counts');
UPDATE ledger.balance SET held = 7 WHERE account_id = tap.account('alice');
SELECT is(pg_temp.revision(), 3::bigint, 'what is held counts');
UPDATE ledger.balance SET held = 7, revision = revision + 1 WHERE account_id = tap.account('alice');
SELECT is(pg_temp.revision(), 4::bigint, 'and once when it is counted by hand');
SELECT throws_ok(format('UPDATE ledger.balance SET revision = 0 WHERE account_id = %L', tap.account('alice')),
                 'PC021', format('the revision of the snapshot of ledger %s, account %s counts up by one: '
                                 '0 cannot follow 4', tap.ledger('main'), tap.account('alice')),
                 'nobody sets it back');
SET ROLE wallet_service;
SELECT throws_ok(format('UPDATE ledger.balance SET held = 8, revision = 9 WHERE account_id = %L',
                        tap.account('alice')), 'PC021', NULL, 'service: nor does it skip one');
SELECT lives_ok(format('UPDATE ledger.balance SET held = 8 WHERE account_id = %L', tap.account('alice')),
                'service: what is held');
SELECT is(pg_temp.revision(), 5::bigint, 'and its change counts');
RESET ROLE;

SELECT is((SELECT count(*) FROM pg_trigger WHERE tgrelid = 'ledger.balance'::regclass AND tgtype & 19 = 19), 0::bigint,
          'no trigger before each row, which would lock every snapshot a second time');

SELECT * FROM finish();
ROLLBACK;
