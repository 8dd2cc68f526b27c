-- What single rows may not be, tried as the service.
BEGIN;
SELECT plan(42);

CREATE FUNCTION pg_temp.move(change text) RETURNS text LANGUAGE sql
AS $$ SELECT format('UPDATE ledger.balance SET %s WHERE ledger_id = %s AND account_id = %L', change,
                    tap.ledger('main'), tap.account('carol')) $$;
SET ROLE wallet_service;

-- Accounts.
SELECT lives_ok(tap.new_account(), 'an account');
SELECT throws_ok(tap.new_account(code => 'liabilities:wallet:alice'), '23505', NULL, 'a code is used once');
SELECT throws_ok(tap.new_account(code => ''), '23514', NULL, 'an account has a code');
SELECT throws_ok(tap.new_account(asset => 'NIX', code => 'nix'), '23503', NULL, 'an account has an asset of its ledger');
SELECT throws_ok(tap.new_account(class => 'wallet'), '23514', NULL, 'class is one of five');
SELECT throws_ok(tap.new_account(status => 'gone'), '23514', NULL, 'status is one of three');
SELECT throws_ok(tap.new_account(floor => 'NaN'), '23514', NULL, 'floor is a number');
SELECT throws_ok(tap.new_account(metadata => '[]'), '23514', NULL, 'metadata is an object');
SELECT throws_ok(tap.new_account(floor => '1e38'), '22003', NULL, 'floor has at most 38 digits');

-- Snapshots.
SELECT lives_ok(pg_temp.move('posted = -5, entries = 1'), 'a snapshot moves');
SELECT throws_ok(pg_temp.move('posted = -5, entries = 0'), '23514', NULL, 'no entries, no balance');
SELECT throws_ok(pg_temp.move('held = -1'), '23514', NULL, 'held is never below zero');
SELECT throws_ok(pg_temp.move('entries = -1'), '23514', NULL, 'entries are never below zero');
SELECT throws_ok(pg_temp.move($$posted = 'NaN', entries = 1$$), '23514', NULL, 'posted is a number');
SELECT throws_ok(pg_temp.move($$held = 'NaN'$$), '23514', NULL, 'held is a number');
SELECT throws_ok(pg_temp.move('posted = 1e38, entries = 1'), '22003', NULL, 'posted has at most 38 digits');
SELECT throws_ok(format('INSERT INTO ledger.balance (ledger_id, account_id, posted) VALUES (%s, %L, 5)',
                        tap.ledger('main'), tap.account('nobody')), '23514', NULL,
                 'a new snapshot is zero');
SELECT throws_ok(format('INSERT INTO ledger.balance (ledger_id, account_id) VALUES (%s, %L)',
                        tap.ledger('main'), tap.account('nobody')), '23503', NULL,
                 'a snapshot is of an account');
SELECT throws_ok(format('INSERT INTO ledger.balance (ledger_id, account_id) VALUES (%s, %L)',
                        tap.ledger('main'), tap.account('alice')), '23505', NULL, 'an account has one snapshot');

-- Transactions.
SELECT throws_ok(tap.post_with('kind', $$'gift'$$), '23514', NULL, 'kind is one of five');
SELECT throws_ok(tap.post_with('idempotency_key', $$''$$), '23514', NULL, 'a key is not empty');
SELECT throws_ok(tap.post_with('idempotency_key', $$repeat('k', 256)$$), '23514', NULL,
                 'a key has at most 255 characters');
SELECT throws_ok(tap.post_with('idempotency_key', 'NULL'), '23502', NULL, 'a transaction has a key');
SELECT throws_ok(tap.post_with('principal', 'NULL'), '23502', NULL, 'a transaction has a principal');
SELECT throws_ok(tap.post_with('request_digest', $$'\x00'$$), '23514', NULL, 'a digest has 32 bytes');
SELECT throws_ok(tap.post_with('reverses', quote_literal(tap.transaction('no such'))), '23503', NULL,
                 'what is reversed exists');
SELECT throws_ok(tap.post_with('idempotency_key', $$'key of first'$$), '23505',
                 'duplicate key value violates unique constraint "transaction_idempotency_key"',
                 'one transaction per principal and key');
SELECT throws_ok(tap.post('first', 'alice 1, bob -1'), '23505', NULL, 'one transaction per id');

-- Entries.
SELECT throws_ok(tap.post_with('amount', '0'), '23514', NULL, 'an amount is never 0');
SELECT throws_ok(tap.post_with('amount', $$'NaN'$$), '23514', NULL, 'an amount is a number');
SELECT throws_ok(tap.post_with('amount', $$'Infinity'$$), '22003', NULL, 'an amount is finite');
SELECT throws_ok(tap.post_with('amount', '1e38'), '22003', NULL, 'an amount has at most 38 digits');
SELECT throws_ok(tap.post_with('balance_after', $$'NaN'$$), '23514', NULL, 'a balance is a number');
SELECT throws_ok(tap.post_with('balance_after', '-1e38'), '22003', NULL,
                 'a balance has at most 38 digits');
SELECT throws_ok(tap.post_with('seq', '0'), '23514', NULL, 'entries are numbered from 1');
SELECT throws_ok(tap.post_with('seq', '2'), '23505', NULL,
                 'two writers never extend an account from the same snapshot');

-- And what they may be.
SELECT lives_ok(tap.post('back', 'alice -3000, bob 3000', kind => 'reversal', reverses => 'second'),
                'a reversal');
SELECT throws_ok(tap.post('back again', 'alice -3000, bob 3000', kind => 'reversal', reverses => 'second'),
                 '23505', NULL, 'a transaction is reversed once');
SELECT lives_ok(tap.post('largest', 'EUR 99999999999999999999999999999999999999, '
                                    'EUR -99999999999999999999999999999999999999'),
                'amounts of 38 digits');
SELECT lives_ok(tap.post_with('amount', '1'), 'the posting above with nothing wrong in it');

SELECT results_eq(
    format('SELECT effective_at = created_at, created_at BETWEEN now() AND clock_timestamp(), '
           'recorded_xid = pg_current_xact_id() FROM ledger.transaction WHERE id = %L',
           tap.transaction('with')),
    $$ VALUES (true, true, true) $$, 'times and the recording transaction are the database''s');

RESET ROLE;
SET ROLE wallet_owner;
SELECT throws_ok($$ INSERT INTO ledger.asset VALUES (1, 'rub', 2) $$, '23514', NULL, 'codes are capitals');
SELECT * FROM finish();
ROLLBACK;
