-- Balance sheet: assets on one side; liabilities, equity and the result of all periods on the other.
lines AS (
    SELECT CASE class WHEN 'asset' THEN 1 WHEN 'liability' THEN 2 WHEN 'equity' THEN 3 END AS place,
           class, code, asset, CASE WHEN class = 'asset' THEN posted ELSE -posted END AS balance, decimals
      FROM rolled
     WHERE entries > 0 AND class IN ('asset', 'liability', 'equity')
     UNION ALL
    SELECT 4, 'result', 'result', asset, -sum(posted), decimals
      FROM rolled
     WHERE entries > 0 AND class IN ('income', 'expense')
     GROUP BY asset, decimals
),
answer AS (
    SELECT 'lines' AS section, place, class, code, asset, balance, NULL::numeric AS assets,
           NULL::numeric AS claims, decimals
      FROM lines
     UNION ALL
    SELECT 'totals', NULL, NULL, NULL, asset, NULL,
           coalesce(sum(balance) FILTER (WHERE class = 'asset'), 0),
           coalesce(sum(balance) FILTER (WHERE class <> 'asset'), 0), decimals
      FROM lines GROUP BY asset, decimals
)
SELECT section, class, code, asset, balance, assets, claims, decimals FROM answer
 ORDER BY section, asset COLLATE "C", place, code COLLATE "C"
 LIMIT $9::bigint
