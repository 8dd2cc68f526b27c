-- What the two statement triggers check, by trying to get past them: as the service and as the owner.
BEGIN;
SELECT plan(52);

CREATE TEMP TABLE attempt (n serial, sql text, code text, message text, what text);
GRANT SELECT ON attempt TO PUBLIC;

CREATE FUNCTION pg_temp.place(name text, ledger text DEFAULT 'main') RETURNS text LANGUAGE sql
AS $$ SELECT format('ledger %s, transaction %s', tap.ledger(ledger), tap.transaction(name)) $$;
-- A row of ledger.entry as a VALUES list wants it.
CREATE FUNCTION pg_temp.row(account text, seq integer, tx text, amount integer, ledger text DEFAULT 'main')
RETURNS text LANGUAGE sql
AS $$ SELECT format('(%s, %L::uuid, %s, %L::uuid, %s, %s)', tap.ledger(ledger), tap.account(account), seq,
                    tap.transaction(tx), amount, amount) $$;
CREATE FUNCTION pg_temp.transaction(name text, ledger text DEFAULT 'main', xid text DEFAULT NULL)
RETURNS text LANGUAGE sql
AS $$ SELECT format('INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, '
                    'request_digest, recorded_xid) VALUES (%s, %L, ''adjustment'', %L, %L, sha256(''x''), %s)',
                    tap.ledger(ledger), tap.transaction(name), tap.principal(), name,
                    coalesce(quote_literal(xid) || '::xid8', 'DEFAULT')) $$;

INSERT INTO attempt (sql, code, message, what) VALUES
    (tap.post('t', 'alice 5, bob -4'), 'PC001',
     pg_temp.place('t') || ': its entries in RUB sum to 1, not to zero', 'entries do not sum to zero'),
    (tap.post('t', 'alice 5, bob 5'), 'PC001',
     pg_temp.place('t') || ': its entries in RUB sum to 10, not to zero', 'two debits'),
    (tap.post('t', 'alice 5, bob -3, RUB -1'), 'PC001', NULL, 'three entries that do not sum to zero'),
    (tap.post('t', 'alice 5, carol -5'), 'PC001', NULL, 'two currencies that sum to zero together'),
    (tap.post('t', 'alice 5, RUB -5, carol 5, USD -6'), 'PC001',
     pg_temp.place('t') || ': its entries in USD sum to -1, not to zero', 'one of two currencies is wrong'),
    (tap.post('t', 'alice 99999999999999999999999999999999999999, RUB -99999999999999999999999999999999999998'),
     'PC001', NULL, 'large amounts that differ by one'),
    (tap.post('t', 'alice 5'), 'PC002',
     pg_temp.place('t') || ': a transaction has at least two entries, this one has 1', 'a single entry'),
    ('INSERT INTO ledger.entry VALUES ' || pg_temp.row('alice', 9, 't', 5) || ','
     || pg_temp.row('bob', 9, 't', -5), 'PC003',
     pg_temp.place('t') || ': entries for a transaction that does not exist', 'entries of no transaction'),
    ('WITH t AS (' || pg_temp.transaction('t') || ') INSERT INTO ledger.entry VALUES '
     || pg_temp.row('alice', 9, 't', 5, 'second') || ',' || pg_temp.row('dave', 9, 't', -5, 'second'),
     'PC003', pg_temp.place('t', 'second') || ': entries for a transaction that does not exist',
     'a transaction in one ledger, its entries in another'),
    ('INSERT INTO ledger.entry VALUES ' || pg_temp.row('alice', 9, 'first', 5) || ','
     || pg_temp.row('bob', 9, 'first', -5), 'PC004',
     pg_temp.place('first') || ': it was recorded by database transaction '
     || (SELECT recorded_xid FROM ledger.transaction WHERE id = tap.transaction('first'))
     || ', nothing can be added to it', 'more entries for a transaction of the past'),
    ('MERGE INTO ledger.entry e USING (VALUES ' || pg_temp.row('alice', 9, 'first', 5) || ','
     || pg_temp.row('bob', 9, 'first', -5) || ') AS v (l, a, s, t, m, b) ON e.seq = v.s AND e.account_id = v.a '
     || 'WHEN NOT MATCHED THEN INSERT VALUES (l, a, s, t, m, b)', 'PC004', NULL, 'the same by MERGE'),
    ('WITH t AS (' || pg_temp.transaction('t') || ') INSERT INTO ledger.entry VALUES '
     || pg_temp.row('alice', 9, 't', 5) || ',' || pg_temp.row('bob', 9, 't', -5) || ','
     || pg_temp.row('alice', 10, 'first', 5) || ',' || pg_temp.row('bob', 10, 'first', -5),
     'PC004', NULL, 'a good transaction beside more entries for one of the past'),
    ('WITH t AS (' || pg_temp.transaction('t', xid => '3') || ') INSERT INTO ledger.entry VALUES '
     || pg_temp.row('alice', 9, 't', 5) || ',' || pg_temp.row('bob', 9, 't', -5),
     'PC004', NULL, 'a transaction that says an older one recorded it'),
    ('WITH t AS (' || pg_temp.transaction('t', xid => '9223372036854775807')
     || ') INSERT INTO ledger.entry VALUES ' || pg_temp.row('alice', 9, 't', 5) || ','
     || pg_temp.row('bob', 9, 't', -5),
     'PC004', NULL, 'a transaction that says a later one recorded it'),
    (pg_temp.transaction('t'), 'PC005',
     pg_temp.place('t') || ': it has no entries; insert both in one statement', 'a transaction alone'),
    ('WITH u AS (' || pg_temp.transaction('u') || ') ' || replace(tap.post('t', 'alice 5, bob -5'), 'WITH t', ', t'),
     'PC005', pg_temp.place('u') || ': it has no entries; insert both in one statement',
     'a transaction without entries beside a good one'),
    (tap.post('t', 'alice 5, nobody -5'), 'PC006',
     pg_temp.place('t') || format(': account %s does not exist in this ledger', tap.account('nobody')),
     'an account that does not exist'),
    (tap.post('t', 'alice 5, dave -5'), 'PC006',
     pg_temp.place('t') || format(': account %s does not exist in this ledger', tap.account('dave')),
     'an account of another ledger'),
    (tap.post('t', 'dave 5, alice -5', ledger => 'second'), 'PC006', NULL, 'the same the other way round'),
    (tap.post('t', 'nobody 5, nobody -5'), 'PC006', NULL, 'no account exists'),
    (format('WITH t AS (INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key, '
            'request_digest) SELECT %1$s, md5(n::text)::uuid, ''transfer'', %2$L, ''batch '' || n, sha256(''x'') '
            'FROM generate_series(1, 300) n) '
            'INSERT INTO ledger.entry SELECT %1$s, account, 100 + n, md5(n::text)::uuid, '
            'CASE WHEN n = 177 THEN sign * n + 1 ELSE sign * n END, 0 '
            'FROM generate_series(1, 300) n, (VALUES (%3$L::uuid, 1), (%4$L, -1)) v (account, sign)',
            tap.ledger('main'), tap.principal(), tap.account('alice'), tap.account('bob')),
     'PC001', format('ledger %s, transaction %s: its entries in RUB sum to 2, not to zero',
                     tap.ledger('main'), md5('177')::uuid), 'one of 300 transactions in a batch');

SET ROLE wallet_service;
SELECT throws_ok(sql, code, message, 'service: ' || what) FROM attempt ORDER BY n;
SET ROLE wallet_owner;
SELECT throws_ok(sql, code, message, 'owner: ' || what) FROM attempt ORDER BY n;
RESET ROLE;

SELECT results_eq('SELECT count(*) FROM ledger.transaction', ARRAY[2::bigint], 'nothing was left behind');
SELECT results_eq('SELECT count(*) FROM ledger.entry', ARRAY[4::bigint], 'no entry either');

-- What is right goes through.
SET ROLE wallet_service;
SELECT lives_ok(tap.post('plain', 'alice 5, bob -5'), 'a transfer');
SELECT lives_ok(tap.post('split', 'alice 5, bob -3, RUB -2'), 'three entries');
SELECT lives_ok(tap.post('exchange', 'alice 5, RUB -5, carol -7, USD 7'), 'two currencies, each in balance');
SELECT lives_ok(tap.post('within', 'alice 5, alice -5'), 'twice the same account');
SELECT lives_ok('WITH e AS (INSERT INTO ledger.entry VALUES ' || pg_temp.row('erin', 9, 'reverse order', 5)
                || ',' || pg_temp.row('carol', 9, 'reverse order', -5) || ') '
                || pg_temp.transaction('reverse order'),
                'entries written before their transaction, in the same statement');
SELECT lives_ok($$ DO $do$ BEGIN EXECUTE tap.post('sub', 'alice 5, bob -5'); EXCEPTION WHEN raise_exception THEN
                   END $do$ $$, 'a transfer in a subtransaction');
SELECT results_eq(format('SELECT recorded_xid FROM ledger.transaction WHERE id = %L', tap.transaction('sub')),
                  'SELECT pg_current_xact_id()', 'it bears the id of the whole transaction');
SELECT lives_ok('INSERT INTO ledger.entry SELECT * FROM ledger.entry WHERE false', 'no row at all');
SELECT * FROM finish();
ROLLBACK;
