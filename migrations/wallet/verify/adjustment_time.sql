-- Verify pacioli_wallet:adjustment_time on pg

BEGIN;

SELECT 1 / (prosrc LIKE '%booked := clock_timestamp()%')::integer
  FROM pg_proc
 WHERE oid = 'ledger.post_adjustment(integer, uuid, text, uuid, text, numeric, text, jsonb)'::regprocedure;

ROLLBACK;
