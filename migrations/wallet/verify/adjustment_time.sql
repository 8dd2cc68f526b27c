-- Verify pacioli_wallet:adjustment_time on pg
-- Since the change `adjustments` it is post_entry that posts.

BEGIN;

SELECT 1 / bool_or(prosrc LIKE '%booked := clock_timestamp()%')::integer
  FROM pg_proc
 WHERE pronamespace = 'ledger'::regnamespace AND proname IN ('post_adjustment', 'post_entry');

ROLLBACK;
