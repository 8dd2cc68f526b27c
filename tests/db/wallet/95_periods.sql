-- A closed period: who may close which, what is refused in it, and its report.
BEGIN;
SELECT plan(24);

CREATE FUNCTION pg_temp.close(upto timestamptz, ledger text DEFAULT 'main') RETURNS text LANGUAGE sql
AS $$ SELECT ledger.close_period(tap.ledger(ledger), upto, tap.principal(), 'why', '{"address": "::1"}') $$;
-- What tap.post makes, at a time of its own.
CREATE FUNCTION pg_temp.post_at(name text, legs text, at timestamptz, ledger text DEFAULT 'main') RETURNS text
LANGUAGE sql
AS $$
    SELECT replace(replace(tap.post(name, legs, ledger), 'request_digest, reverses)',
                           'request_digest, effective_at, reverses)'),
                   format('sha256(%L),', 'key of ' || name), format('sha256(%L), %L,', 'key of ' || name, at))
$$;

SET ROLE wallet_service;
SELECT lives_ok(pg_temp.post_at('old', 'alice 300, bob -300', '2026-01-31 23:59:59.999999Z'),
                'before a period is closed it takes postings');
SELECT is(pg_temp.close(now() + interval '1 day'), 'period_not_over', 'what is to come is not closed');
SELECT is(pg_temp.close(now() - interval '50 seconds'), 'period_not_over', 'nor what has just been');
SELECT is(pg_temp.close('2026-02-01 00:00Z'), 'done', 'a past time is');
SELECT is(pg_temp.close('2026-02-01 00:00Z'), 'done', 'once more');
SELECT is(pg_temp.close('2026-01-01 00:00Z'), 'period_locked', 'a time within it is not an end');
SELECT is(pg_temp.close('2026-03-01 00:00Z'), 'done', 'the next one');
SELECT results_eq('SELECT from_at, to_at FROM ledger.period ORDER BY to_at',
                  $$ VALUES ('-infinity'::timestamptz, '2026-02-01 00:00Z'::timestamptz),
                            ('2026-02-01 00:00Z', '2026-03-01 00:00Z') $$, 'each begins where the last one ended');

SELECT throws_ok(pg_temp.post_at('late', 'alice 1, bob -1', '2026-02-28 23:59:59.999999Z'), 'PC030', NULL,
                 'the last microsecond of a closed period takes no posting');
SELECT throws_ok(pg_temp.post_at('later', 'alice 1, bob -1', '-infinity'), 'PC030', NULL, 'nor does any earlier one');
SELECT lives_ok(pg_temp.post_at('first of next', 'alice 1, bob -1', '2026-03-01 00:00Z'),
                'the first microsecond after it does');
SELECT lives_ok(tap.post('now', 'alice 1, bob -1'), 'and so does the present');
SELECT lives_ok(pg_temp.post_at('elsewhere', 'dave -1, dave 1', '2026-01-01 00:00Z', 'second'),
                'another ledger is not closed');

-- The report.
SELECT isnt(ledger.write_period_report(tap.ledger('main'), '2026-02-01 00:00Z'), NULL, 'a report is made');
SELECT is((SELECT report FROM ledger.period_report),
          E'class,code,currency,accounts,debit,credit\nliability,liabilities:wallets,RUB,2,300,300\n'
          'total,,RUB,2,300,300\n', 'of what was effective then');
SELECT is((SELECT encode(digest, 'hex') FROM ledger.period_report),
          encode(sha256(convert_to((SELECT report FROM ledger.period_report), 'UTF8')), 'hex'), 'with its digest');
SELECT is(ledger.write_period_report(tap.ledger('main'), '2026-02-01 00:00Z'),
          (SELECT period FROM ledger.periods_json(tap.ledger('main'), '2026-02-01 00:00Z', 1)), 'once');
SELECT is(ledger.trial_balance_text(tap.ledger('main'), '2026-02-01 00:00Z'),
          (SELECT report FROM ledger.period_report), 'and the same whenever it is made');
SELECT is(ledger.write_period_report(tap.ledger('main'), '2026-02-02 00:00Z'), NULL, 'no report of what is not closed');

-- It stays.
SELECT throws_ok($$ INSERT INTO ledger.period (ledger_id, from_at, to_at, closed_by, reason)
                    VALUES (1, '2027-01-01', '2027-02-01', gen_random_uuid(), 'x') $$, '42501', NULL,
                 'the service closes by the function alone');
SET ROLE wallet_owner;
SELECT throws_ok('DELETE FROM ledger.period', 'PC010', NULL, 'nobody opens what was closed');
SELECT throws_ok($$ UPDATE ledger.period_report SET report = '' $$, 'PC010', NULL, 'or writes another report');
SELECT is((SELECT count(*)::int FROM ledger.audit WHERE event = 'period_closed' AND outcome = 'success'), 3,
          'what was closed is in the audit trail');
SELECT is((SELECT count(*)::int FROM ledger.audit WHERE event = 'period_closed' AND outcome = 'failure'), 3,
          'what was not, too');

SELECT * FROM finish();
ROLLBACK;
