-- Bank statements, matches and breaks: what the database holds by itself, whoever writes.
BEGIN;
SELECT plan(24);

-- alice's deposit of the fixtures is entry 1 of the settlement account: 10000 came in.
CREATE FUNCTION tap.statement(number integer, opening numeric, closing numeric, amounts numeric[],
                                  reference text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
    SELECT format($f$
        WITH s AS (INSERT INTO ledger.statement (ledger_id, account_id, number, reference, bank_account, format,
                     file_name, file_digest, content_digest, opened_on, closed_on, opening, closing, line_count,
                     imported_by)
                   VALUES (%s, %L, %s, %L, '', 'mt940', 'f', sha256('f'), sha256('c'), '2026-11-01', '2026-11-02',
                           %s, %s, %s, 'test'))
        INSERT INTO ledger.statement_line (ledger_id, account_id, statement, n, booked_on, amount, refs,
                     bank_reference, counterparty, description, reversal)
        SELECT %1$s, %2$L, %3$s, n, '2026-11-01', amount, '{}', '', '', '', false
          FROM unnest(%9$L::numeric[]) WITH ORDINALITY AS u (amount, n) $f$,
        tap.ledger('main'), tap.account('RUB'), number, coalesce(reference, 'S' || number), opening, closing,
        cardinality(amounts), NULL, amounts)
$$;

CREATE FUNCTION tap.match(id bigint, line integer, seq bigint) RETURNS text LANGUAGE sql AS $$
    SELECT format($f$
        WITH m AS (INSERT INTO ledger.statement_match (ledger_id, account_id, id, pass, made_by)
                   VALUES (%1$s, %2$L, %3$s, 1, 'test')),
             l AS (INSERT INTO ledger.statement_match_line (ledger_id, account_id, statement, n, match_id)
                   SELECT %1$s, %2$L, 1, %4$L::integer, %3$s WHERE %4$L IS NOT NULL)
        INSERT INTO ledger.statement_match_entry (ledger_id, account_id, seq, match_id)
        SELECT %1$s, %2$L, %5$L::bigint, %3$s WHERE %5$L IS NOT NULL $f$,
        tap.ledger('main'), tap.account('RUB'), id, line, seq)
$$;

CREATE FUNCTION tap.event(n integer, more text, given text) RETURNS text LANGUAGE sql AS $$
    SELECT format('INSERT INTO ledger.statement_break_event (ledger_id, break_id, n, status, category, made_by%s)'
                  ' VALUES (%s, 1, %s, ''open'', ''missing_in_ledger'', ''anna''%s)',
                  more, tap.ledger('main'), n, given)
$$;

SET LOCAL ROLE wallet_service;
SELECT throws_ok(tap.statement(1, 0, 100, '{99}'), 'PC030', NULL, 'lines must make the closing balance');
SELECT throws_ok(tap.statement(2, 0, 100, '{100}'), 'PC031', NULL, 'a chain begins with number 1');
SELECT throws_ok(tap.statement(1, 0, 0, '{0}'), '23514', NULL, 'no line is 0');
SELECT lives_ok(tap.statement(1, 0, 9000, '{10000,-1000}'), 'a statement');
SELECT throws_ok(tap.statement(2, 8999, 9000, '{1}'), 'PC031', NULL, 'the next opens where it closed');
SELECT throws_ok(tap.statement(3, 9000, 9001, '{1}'), 'PC031', NULL, 'no number is left out');
SELECT throws_ok(tap.statement(2, 9000, 9001, '{1}', 'S1'), '23505', NULL, 'a reference once');
SELECT lives_ok(tap.statement(2, 9000, 9000, '{}'), 'a statement without lines');

SELECT throws_ok(tap.match(1, 2, 1), 'PC033', NULL, 'both sides of a match are equal');
SELECT throws_ok(tap.match(1, 1, NULL), 'PC033', NULL, 'a match has two members');
SELECT throws_ok(tap.match(1, 1, 99), '23503', NULL, 'an entry that there is not');
SELECT lives_ok(tap.match(1, 1, 1), 'a match');
SELECT throws_ok(tap.match(2, 1, 1), '23505', NULL, 'nothing is matched twice');

-- Breaks.
SELECT lives_ok(format($$ INSERT INTO ledger.statement_break (ledger_id, id, account_id, statement, n)
                          VALUES (%s, 1, %L, 1, 2) $$, tap.ledger('main'), tap.account('RUB')), 'a break');
SELECT throws_ok(format($$ INSERT INTO ledger.statement_break (ledger_id, id, account_id, statement, n, seq)
                          VALUES (%s, 2, %L, 1, 1, 1) $$, tap.ledger('main'), tap.account('RUB')), '23514', NULL,
                 'a break is a line or an entry');
SELECT throws_ok(tap.event(1, ', match_id', ', 1'), '23514', NULL, 'an open break has no match');
SELECT throws_ok(tap.event(1, ', transaction_id, approved_by', ', gen_random_uuid(), ''anna'''), '23514', NULL,
                 'who posts does not approve');
SELECT lives_ok(tap.event(1, '', ''), 'an event');

-- The settlement account gives 10.00 to the bank; bob's wallet pays for it.
SELECT throws_ok(format($$ SELECT ledger.resolve_breaks(%s, '{1}', 'r', 'anna', 'boris', NULL,
                           gen_random_uuid()) $$, tap.ledger('main')), 'PC037', NULL, 'a difference must be posted');
SELECT throws_ok(format($$ SELECT ledger.resolve_breaks(%s, '{1}', 'r', 'anna', 'anna',
                           (SELECT code FROM ledger.account WHERE id = tap.account('bob')), gen_random_uuid()) $$,
                        tap.ledger('main')), '23514', NULL, 'with four eyes');
SELECT throws_ok(format($$ SELECT ledger.post_adjustment(%s, gen_random_uuid(), 'key', %L,
                           (SELECT code FROM ledger.account WHERE id = tap.account('bob')), -99999999, 'd', '{}') $$,
                        tap.ledger('main'), tap.account('RUB')), 'PC036', NULL, 'not below the floor');
SELECT is(ledger.resolve_breaks(tap.ledger('main'), '{1}', 'r', 'anna', 'boris',
                                (SELECT code FROM ledger.account WHERE id = tap.account('bob')),
                                '00000000-0000-7000-8000-00000000abcd'), 2::bigint, 'a break is resolved');
SELECT results_eq($$ SELECT e.account_id, e.amount FROM ledger.entry e
                      WHERE e.transaction_id = '00000000-0000-7000-8000-00000000abcd' ORDER BY e.amount $$,
                  $$ VALUES (tap.account('RUB'), -1000::numeric), (tap.account('bob'), 1000::numeric) $$,
                  'with a balanced adjustment');
SELECT throws_ok(format($$ SELECT ledger.resolve_breaks(%s, '{1}', 'r', 'anna', 'boris', NULL,
                           gen_random_uuid()) $$, tap.ledger('main')), 'PC037', NULL, 'once');

SELECT * FROM finish();
ROLLBACK;
