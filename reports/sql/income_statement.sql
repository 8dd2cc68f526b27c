-- Income statement: what income and expense accounts moved in the period.
moved AS (
    SELECT class, code, asset, decimals, count(*) AS entries,
           CASE WHEN class = 'expense' THEN sum(amount) ELSE -sum(amount) END AS amount
      FROM movements WHERE class IN ('income', 'expense')
     GROUP BY class, code, asset, decimals
),
answer AS (
    SELECT 'lines' AS section, class, code, asset, entries, amount, decimals FROM moved
     UNION ALL
    SELECT 'totals', 'result', NULL, asset, sum(entries),
           sum(CASE WHEN class = 'income' THEN amount ELSE -amount END), decimals
      FROM moved GROUP BY asset, decimals
)
SELECT * FROM answer
 ORDER BY section, asset COLLATE "C", class COLLATE "C" DESC, code COLLATE "C"
 LIMIT $9::bigint
