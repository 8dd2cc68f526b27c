-- Daily movement: what moved on each day (UTC), by account code.
days AS (
    SELECT (moved_at AT TIME ZONE 'UTC')::date AS day, code, class, asset, decimals, count(*) AS entries,
           coalesce(sum(amount) FILTER (WHERE amount > 0), 0) AS debit,
           coalesce(-sum(amount) FILTER (WHERE amount < 0), 0) AS credit
      FROM movements
     GROUP BY 1, code, class, asset, decimals
),
answer AS (
    SELECT 'lines' AS section, day::text AS day, code, class, asset, entries, debit, credit, decimals
      FROM days
     UNION ALL
    SELECT 'totals', NULL, NULL, NULL, asset, sum(entries), sum(debit), sum(credit), decimals
      FROM days GROUP BY asset, decimals
)
SELECT * FROM answer
 ORDER BY section, day COLLATE "C", asset COLLATE "C", code COLLATE "C", class COLLATE "C"
 LIMIT $9::bigint
