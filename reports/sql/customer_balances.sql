-- Customer balances: what is owed to each owner, account by account. A page names itself by the id of its
-- last account; the totals are always those of all.
customers AS (
    SELECT id, owner_id, code, asset, entries, decimals,
           CASE WHEN class IN ('asset', 'expense') THEN posted ELSE -posted END AS balance
      FROM balances WHERE owner_id IS NOT NULL
),
answer AS (
    (SELECT 'lines' AS section, id, owner_id, code, asset, entries, balance, decimals
       FROM customers
      WHERE $10::text IS NULL OR id > $10::uuid
      ORDER BY id
      LIMIT $9::bigint)
     UNION ALL
    SELECT 'totals', NULL, NULL, NULL, asset, sum(entries), sum(balance), decimals
      FROM customers GROUP BY asset, decimals
)
SELECT section, owner_id, id, code, asset, entries, balance, decimals FROM answer
 ORDER BY section, id, asset COLLATE "C"
