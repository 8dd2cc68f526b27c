-- Trial balance: both sides of every account, rolled up; each currency's sides are equal.
answer AS (
    SELECT 'lines' AS section, code, class, asset, accounts, debit, credit, posted, decimals
      FROM rolled WHERE entries > 0
     UNION ALL
    SELECT 'totals', NULL, NULL, asset, sum(accounts), sum(debit), sum(credit), sum(posted), decimals
      FROM rolled WHERE entries > 0 GROUP BY asset, decimals
)
SELECT * FROM answer
 ORDER BY section, asset COLLATE "C", code COLLATE "C", class COLLATE "C"
 LIMIT $9::bigint
