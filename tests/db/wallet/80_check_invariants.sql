-- check_invariants.sql finds each kind of violation: planted by a superuser with the triggers off.
\set checks `sed -n '/^WITH/,$p' tests/db/check_invariants.sql`
BEGIN;
SELECT plan(26);

CREATE TEMP VIEW finding AS :checks
SELECT is_empty('SELECT * FROM finding', 'the books are right');

-- Plants, looks, and takes the plant away again.
CREATE FUNCTION pg_temp.found(sql text) RETURNS text[] LANGUAGE plpgsql
AS $$
DECLARE
    found text[];
BEGIN
    SET LOCAL session_replication_role = replica;
    EXECUTE sql;
    SELECT coalesce(array_agg(kind ORDER BY kind), '{}') INTO found FROM finding;
    RAISE EXCEPTION USING ERRCODE = 'TAP00';
EXCEPTION WHEN SQLSTATE 'TAP00' THEN
    RETURN found;
END
$$;
CREATE FUNCTION pg_temp.snapshot(account text, change text) RETURNS text LANGUAGE sql
AS $$ SELECT format('UPDATE ledger.balance SET %s WHERE account_id = %L', change, tap.account(account)) $$;
CREATE FUNCTION pg_temp.entry(account text, seq integer, change text) RETURNS text LANGUAGE sql
AS $$ SELECT format('UPDATE ledger.entry SET %s WHERE account_id = %L AND seq = %s', change,
                    tap.account(account), seq) $$;

SELECT is(pg_temp.found('SELECT 1'), '{}', 'nothing planted, nothing found');
SELECT is(pg_temp.found(tap.post('good', 'alice 1, bob -1')), '{}', 'a good posting, nothing found');
SELECT is(pg_temp.found(pg_temp.entry('bob', 1, 'amount = amount - 1')),
          ARRAY['INV1 entries of a transaction do not sum to zero',
                'INV2 all entries of an asset do not sum to zero',
                'INV3 a snapshot is not the sum of its entries',
                'INV4 balance_after is not the balance before and the amount'],
          'an amount that was changed');
SELECT is(pg_temp.found(tap.post('bad', 'alice 5, bob -4')),
          ARRAY['INV1 entries of a transaction do not sum to zero',
                'INV2 all entries of an asset do not sum to zero',
                'INV2 all snapshots of an asset do not sum to zero'],
          'a transaction that does not sum to zero');
SELECT is(pg_temp.found(tap.post('bad', 'RUB 5, USD -5')),
          ARRAY['INV1 entries of a transaction do not sum to zero',
                'INV2 all entries of an asset do not sum to zero',
                'INV2 all snapshots of an asset do not sum to zero'],
          'a transaction over two currencies');
SELECT is(pg_temp.found(format('DELETE FROM ledger.entry WHERE transaction_id = %L',
                               tap.transaction('second'))),
          ARRAY['INV1 a transaction has fewer than two entries',
                'INV3 a snapshot is not the sum of its entries'],
          'a transaction that lost its entries');
SELECT is(pg_temp.found(pg_temp.snapshot('alice', 'posted = posted - 1')),
          ARRAY['INV2 all snapshots of an asset do not sum to zero',
                'INV3 a snapshot is not the sum of its entries'],
          'a snapshot that was edited');
SELECT is(pg_temp.found(pg_temp.snapshot('alice', 'entries = entries + 1')),
          ARRAY['INV3 a snapshot is not the sum of its entries'], 'a snapshot that counts wrong');
SELECT is(pg_temp.found(tap.new_account()), ARRAY['INV3 an account has no snapshot'],
          'an account without a snapshot');
SELECT is(pg_temp.found(pg_temp.entry('alice', 2, 'seq = 3') || ';'
                        || pg_temp.snapshot('alice', 'entries = 3')),
          ARRAY['INV3 a snapshot is not the sum of its entries',
                'INV4 an account''s entries are not numbered 1, 2, 3'],
          'a gap in the numbers');
SELECT is(pg_temp.found(pg_temp.entry('alice', 1, 'balance_after = balance_after - 1')),
          ARRAY['INV4 balance_after is not the balance before and the amount'],
          'a balance in the middle that is wrong');
SELECT is(pg_temp.found(tap.post('dip', 'alice 7001, RUB -7001, alice -7001, RUB 7001')),
          ARRAY['INV5 a balance was below the floor'], 'a balance that was below the floor for a moment');
SELECT is(pg_temp.found(tap.post('dip', 'alice 7001, bob -7001')),
          ARRAY['INV5 a balance was below the floor', 'INV5 what is available is below the floor'],
          'a balance that is below the floor');
SELECT is(pg_temp.found(format('UPDATE ledger.account SET floor = 10001 WHERE id = %L', tap.account('RUB'))),
          ARRAY['INV5 a balance was below the floor', 'INV5 what is available is below the floor'],
          'an asset account counts its debits');
SELECT is(pg_temp.found(format('UPDATE ledger.account SET floor = 10000 WHERE id = %L', tap.account('RUB'))),
          '{}', 'and is right at its floor');
SELECT is(pg_temp.found(tap.post('edge', 'alice 7000, bob -7000')), '{}', 'a balance at the floor is right');
SELECT is(pg_temp.found(pg_temp.snapshot('alice', 'held = 7000')), ARRAY['INV7 held without a hold'],
          'something held');
SELECT is(pg_temp.found(pg_temp.snapshot('alice', 'held = 7001')),
          ARRAY['INV5 what is available is below the floor', 'INV7 held without a hold'],
          'more held than there is');
SELECT is(pg_temp.found(format('DELETE FROM ledger.transaction WHERE id = %L', tap.transaction('second'))),
          ARRAY['INV6 entries have no transaction'], 'entries that lost their transaction');
SELECT is(pg_temp.found(format('DELETE FROM ledger.account WHERE id = %L', tap.account('bob'))),
          ARRAY['INV1 entries of a transaction do not sum to zero',
                'INV2 all entries of an asset do not sum to zero',
                'INV2 all snapshots of an asset do not sum to zero', 'INV6 entries have no account'],
          'entries that lost their account');
SELECT is(pg_temp.found($$ DELETE FROM ledger.asset WHERE code = 'JPY' AND ledger_id = tap.ledger('second') $$),
          ARRAY['INV6 an account has no asset'], 'an account that lost its asset');
SELECT is(pg_temp.found(tap.post('undo', 'alice 1, bob -1', kind => 'reversal', reverses => 'nothing')),
          ARRAY['INV6 a transaction reverses none that exists'], 'a reversal of nothing');
SELECT is(pg_temp.found($$ ALTER TABLE ledger.transaction DROP CONSTRAINT transaction_idempotency_key;
                           UPDATE ledger.transaction SET idempotency_key = 'one' $$),
          ARRAY['INV8 a key was used twice'], 'two transactions of one key');

-- What a person reads.
CREATE FUNCTION pg_temp.place() RETURNS text LANGUAGE plpgsql
AS $$
DECLARE
    place text;
BEGIN
    SET LOCAL session_replication_role = replica;
    EXECUTE pg_temp.snapshot('alice', 'entries = 9');
    SELECT format('%s %s', first_places[1], places) INTO place FROM finding;
    RAISE EXCEPTION USING ERRCODE = 'TAP00';
EXCEPTION WHEN SQLSTATE 'TAP00' THEN
    RETURN place;
END
$$;
SELECT is(pg_temp.place(),
          format('ledger %s account %s: posted -7000 of -7000, entries 9 of 2 1', tap.ledger('main'),
                 tap.account('alice')),
          'a finding names the place and tells how many there are');

SET ROLE wallet_service;
SELECT lives_ok(:'checks', 'the service''s rights are enough');
SELECT * FROM finish();
ROLLBACK;
