-- Chart of accounts: what accounts there are, rolled up by the segments of their codes.
answer AS (
    SELECT 'lines' AS section, code, class, asset, accounts, entries,
           CASE WHEN class IN ('asset', 'expense') THEN posted ELSE -posted END AS balance, decimals
      FROM rolled
     WHERE entries > 0 OR class <> 'asset' OR code NOT LIKE 'assets:settlement%'
     UNION ALL
    SELECT 'totals', NULL, NULL, asset, sum(accounts), sum(entries), NULL, decimals
      FROM rolled GROUP BY asset, decimals HAVING sum(entries) > 0
)
SELECT * FROM answer
 ORDER BY section, asset COLLATE "C", code COLLATE "C", class COLLATE "C"
 LIMIT $9::bigint
