-- Whatever a decision rests on beside the entries is counted in the snapshot's revision.
BEGIN;
SELECT plan(9);

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
UPDATE ledger.balance SET revision = 0 WHERE account_id = tap.account('alice');
SELECT is(pg_temp.revision(), 4::bigint, 'nobody sets it back');
SET ROLE wallet_service;
SELECT lives_ok(format('UPDATE ledger.balance SET held = 8, revision = 0 WHERE account_id = %L',
                       tap.account('alice')), 'service: what is held');
SELECT is(pg_temp.revision(), 5::bigint, 'and its change counts');

SELECT * FROM finish();
ROLLBACK;
