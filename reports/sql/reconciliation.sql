-- The runs of `ledger_report check`, the newest first. A line of a run's findings names a category, how many
-- places it was found at, and the first one.
answer AS (
    SELECT r.number, r.mode, r.started_at, r.finished_at, r.transactions, r.entries, r.differences,
           CASE WHEN r.differences = 0 THEN 'clean' ELSE 'differences' END AS state,
           (SELECT string_agg(format('%s (%s): %s, first: %s', f ->> 'category', f ->> 'invariant', f ->> 'count',
                                     f ->> 'first'), '; ' ORDER BY f ->> 'category')
              FROM jsonb_array_elements(r.findings) f) AS findings
      FROM ledger.check_run r
     WHERE r.ledger_id = $1::integer
       AND ($2::timestamptz IS NULL OR r.finished_at < $2::timestamptz)
       AND ($10::text IS NULL OR r.number < $10::bigint)
     ORDER BY r.number DESC
     LIMIT coalesce($9::bigint, 100)
)
SELECT 'lines', number, state, mode,
       to_char(started_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
       to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
       transactions, entries, differences, findings, 0
  FROM answer
 ORDER BY number DESC
