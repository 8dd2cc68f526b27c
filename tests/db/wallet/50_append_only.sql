-- What was written stays: the service lacks the right (42501), the owner meets a trigger.
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT plan(75);

CREATE TEMP TABLE attempt (n serial, sql text, code text, what text);
GRANT SELECT ON attempt TO PUBLIC;

INSERT INTO attempt (sql, code, what)
SELECT format(command, t, (SELECT quote_ident(attname) FROM pg_attribute
                            WHERE attrelid = ('ledger.' || t)::regclass AND attnum = 1)),
       code, split_part(command, ' ', 1) || ' ' || t
  FROM (VALUES ('transaction', 'PC010'), ('entry', 'PC010'), ('schema_version', 'PC013')) AS v (t, code),
       unnest(ARRAY['UPDATE ledger.%s SET %s = 1', 'DELETE FROM ledger.%s', 'TRUNCATE ledger.%s CASCADE'])
       AS command
 UNION ALL
SELECT format(command, t), 'PC012', split_part(command, ' ', 1) || ' ' || t
  FROM unnest(ARRAY['ledger', 'asset', 'account', 'balance']) AS t,
       unnest(ARRAY['DELETE FROM ledger.%s', 'TRUNCATE ledger.%s CASCADE']) AS command;

INSERT INTO attempt (sql, code, what) VALUES
    ('DELETE FROM ledger.entry WHERE false', 'PC010', 'a DELETE that meets no row'),
    ('UPDATE ledger.entry SET amount = amount', 'PC010', 'an UPDATE that changes nothing'),
    ('INSERT INTO ledger.transaction SELECT * FROM ledger.transaction ON CONFLICT (ledger_id, id) '
     'DO UPDATE SET kind = ''adjustment''', 'PC010', 'an UPDATE by ON CONFLICT'),
    ('MERGE INTO ledger.entry e USING ledger.balance b ON e.account_id = b.account_id '
     'WHEN MATCHED THEN DELETE', 'PC010', 'a DELETE by MERGE'),
    ('WITH gone AS (DELETE FROM ledger.entry RETURNING 1) SELECT count(*) FROM gone', 'PC010',
     'a DELETE in a WITH'),
    (format('UPDATE ledger.account SET id = gen_random_uuid() WHERE code = %L', 'liabilities:wallet:erin'),
     'PC011', 'the id of an account'),
    ('UPDATE ledger.account SET owner_id = gen_random_uuid() WHERE owner_id IS NOT NULL', 'PC011',
     'an account''s owner'),
    ('UPDATE ledger.account SET owner_id = NULL WHERE owner_id IS NOT NULL', 'PC011',
     'an account''s owner, taken away'),
    ('UPDATE ledger.account SET owner_id = gen_random_uuid() WHERE owner_id IS NULL', 'PC011',
     'an owner for an account that has none'),
    (format('UPDATE ledger.account SET asset = ''USD'' WHERE id = %L', tap.account('alice')), 'PC011',
     'an account''s asset'),
    (format('UPDATE ledger.account SET class = ''asset'' WHERE id = %L', tap.account('alice')), 'PC011',
     'an account''s class'),
    (format('UPDATE ledger.account SET ledger_id = %s WHERE id = %L', tap.ledger('second'),
            tap.account('alice')), 'PC011', 'an account''s ledger'),
    (format('UPDATE ledger.account SET created_at = now() - interval ''1 day'' WHERE id = %L',
            tap.account('alice')), 'PC011', 'when an account was made'),
    ('UPDATE ledger.asset SET decimals = decimals + 1 WHERE code = ''RUB''', 'PC011', 'an asset''s decimals'),
    ('UPDATE ledger.asset SET code = ''RUX'' WHERE code = ''RUB''', 'PC011', 'an asset''s code'),
    ('UPDATE ledger.ledger SET id = DEFAULT', 'PC011', 'a ledger''s id'),
    (format('UPDATE ledger.balance SET account_id = %L WHERE account_id = %L', tap.account('bob'),
            tap.account('alice')), 'PC011', 'whose snapshot it is');

SET ROLE wallet_service;
SELECT throws_ok(sql, '42501', NULL, 'service: ' || what) FROM attempt ORDER BY n;
SET ROLE wallet_owner;
SELECT throws_ok(sql, code, NULL, 'owner: ' || what) FROM attempt ORDER BY n;

SELECT throws_ok('DELETE FROM ledger.entry', 'PC010',
                 'DELETE on ledger.entry is refused: its rows are kept for ever as they were written',
                 'the message names the table and the command');
SELECT throws_ok(format('UPDATE ledger.account SET asset = ''USD'' WHERE id = %L', tap.account('alice')),
                 'PC011', format('account.asset of ledger %s, account liabilities:wallet:alice cannot be '
                                 'changed: journal rows depend on it', tap.ledger('main')),
                 'the message names the column, the ledger and the account');

-- What may change.
SELECT lives_ok($$ UPDATE ledger.account SET status = 'frozen', floor = -100, metadata = '{"a": 1}' $$,
                'owner: status, floor and metadata of an account');
SET ROLE wallet_service;
SELECT throws_ok($$ UPDATE ledger.account SET status = 'open' $$, '42501', NULL,
                 'service: not even the status of an account');
SELECT throws_ok($$ INSERT INTO ledger.schema_version (version) VALUES (99) $$, '42501', NULL,
                 'service: no version of the schema');
RESET ROLE;
SELECT results_eq('SELECT count(*) FROM ledger.transaction', ARRAY[2::bigint], 'the journal is as it was');
SELECT results_eq('SELECT count(*) FROM ledger.entry', ARRAY[4::bigint], 'its entries too');
SELECT * FROM finish();
ROLLBACK;
