-- Whoever waits for locks is booked when it got them: booking times never go down along an account's entries.
BEGIN;
SELECT plan(2);

CREATE TEMP TABLE began AS SELECT clock_timestamp() AS at;
DO $$
BEGIN
    PERFORM pg_sleep(0.05); -- as if it had waited for the settlement account
    PERFORM ledger.post_adjustment(tap.ledger('main'), tap.transaction('late'), 'late', tap.account('RUB'),
                                   (SELECT code FROM ledger.account WHERE id = tap.account('bob')), -1, 'd', '{}');
END
$$;
SELECT cmp_ok((SELECT created_at FROM ledger.transaction WHERE id = tap.transaction('late')), '>=',
              (SELECT at + interval '50 ms' FROM began), 'an adjustment is booked behind its locks');
SELECT is((SELECT effective_at FROM ledger.transaction WHERE id = tap.transaction('late')),
          (SELECT created_at FROM ledger.transaction WHERE id = tap.transaction('late')), 'and is effective then');

SELECT * FROM finish();
ROLLBACK;
