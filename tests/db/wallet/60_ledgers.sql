-- Ledgers and assets as the owner makes them.
BEGIN;
SELECT plan(22);

SELECT results_eq($$ SELECT name COLLATE "default" FROM ledger.ledger ORDER BY id $$, ARRAY['main', 'second'],
                  'the migrations made the ledger main');
SELECT results_eq($$ SELECT count(*) FROM ledger.iso_4217() $$, ARRAY[155::bigint], '155 currencies');
SELECT results_eq(
    $$ SELECT i.code, i.decimals FROM ledger.iso_4217() i ORDER BY 1 $$,
    $$ SELECT a.code COLLATE "default", a.decimals FROM ledger.asset a WHERE a.ledger_id = tap.ledger('main') ORDER BY 1 $$,
    'main has them all');
SELECT results_eq(
    $$ SELECT code FROM ledger.iso_4217() WHERE decimals = 0 ORDER BY 1 $$,
    string_to_array('BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF', ' '),
    'currencies without decimals');
SELECT results_eq(
    $$ SELECT code FROM ledger.iso_4217() WHERE decimals = 3 ORDER BY 1 $$,
    string_to_array('BHD IQD JOD KWD LYD OMR TND', ' '), 'currencies with three');
SELECT is_empty($$ SELECT code FROM ledger.iso_4217() WHERE decimals NOT IN (0, 2, 3) $$, 'all others have two');
SELECT is_empty($$ SELECT code FROM ledger.iso_4217() WHERE code !~ '^[A-Z]{3}$'
                    OR code IN ('XAU', 'XAG', 'XDR', 'XTS', 'XXX', 'CHE', 'USN') $$,
                'no metals, funds or test codes');
SELECT is_empty(
    $$ SELECT a.ledger_id, a.code FROM ledger.asset a
        WHERE NOT EXISTS (SELECT FROM ledger.account s
                            JOIN ledger.balance b ON b.ledger_id = s.ledger_id AND b.account_id = s.id
                           WHERE s.ledger_id = a.ledger_id AND s.asset = a.code
                             AND s.code = 'assets:settlement:' || a.code AND s.class = 'asset'
                             AND s.owner_id IS NULL AND s.floor IS NULL AND s.status = 'open') $$,
    'every asset has its settlement account, and that its snapshot');
SELECT results_eq(
    $$ SELECT ledger_id, count(*) FROM ledger.account WHERE class = 'asset' GROUP BY 1 ORDER BY 1 $$,
    $$ SELECT id, 155::bigint FROM ledger.ledger ORDER BY 1 $$, 'and no more than that');

SET ROLE wallet_owner;
SELECT lives_ok($$ SELECT ledger.create_ledger('third') $$, 'a ledger');
SELECT throws_ok($$ SELECT ledger.create_ledger('third') $$, '23505', NULL, 'its name is used once');
SELECT throws_ok($$ SELECT ledger.create_ledger('Third one') $$, '23514', NULL, 'and is plain');
SELECT lives_ok($$ SELECT ledger.create_asset(tap.ledger('third'), 'GOLD_OZ', 18) $$, 'a custom asset');
SELECT throws_ok($$ SELECT ledger.create_asset(tap.ledger('third'), 'GOLD_OZ', 18) $$, '23505', NULL,
                 'it is made once');
SELECT throws_ok($$ SELECT ledger.create_asset(tap.ledger('third'), 'RUB', 3) $$, '23505', NULL,
                 'a currency has the decimals it has');
SELECT throws_ok($$ SELECT ledger.create_asset(tap.ledger('third'), 'FINE', 19) $$, '23514', NULL,
                 'at most 18 decimals');
SELECT throws_ok($$ SELECT ledger.create_asset(tap.ledger('third'), 'FINE', -1) $$, '23514', NULL,
                 'at least none');
SELECT throws_ok($$ SELECT ledger.create_asset(tap.ledger('third'), 'X', 0) $$, '23514', NULL,
                 'a code has two characters or more');
SELECT throws_ok($$ SELECT ledger.create_asset(tap.ledger('third'), 'ABCDEFGHIJKLMNOPQ', 0) $$, '23514', NULL,
                 'and at most 16');
SELECT throws_ok($$ SELECT ledger.create_asset(0, 'POINTS', 0) $$, '23503', NULL, 'an asset has a ledger');
RESET ROLE;
SELECT results_eq(
    $$ SELECT a.code COLLATE "default", b.posted FROM ledger.account a JOIN ledger.balance b ON b.account_id = a.id
        WHERE a.asset = 'GOLD_OZ' $$,
    $$ VALUES ('assets:settlement:GOLD_OZ', 0::numeric) $$, 'its settlement account');
SET ROLE wallet_service;
SELECT throws_ok($$ SELECT ledger.create_ledger('fourth') $$, '42501', NULL, 'the service makes none');
SELECT * FROM finish();
ROLLBACK;
