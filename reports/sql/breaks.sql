-- Breaks that are open (at $2, or now): lines of bank statements and entries of settlement accounts that have no
-- counterpart. Their age is counted in days from the day of the line or entry. The amount is signed: money that
-- came in is positive.
state AS (
    SELECT b.ledger_id, b.id, b.account_id, b.statement, b.n, b.seq, v.status, v.category, v.owner, v.reason
      FROM ledger.statement_break b
      CROSS JOIN LATERAL (SELECT e.* FROM ledger.statement_break_event e
                           WHERE e.ledger_id = b.ledger_id AND e.break_id = b.id
                             AND ($2::timestamptz IS NULL OR e.made_at < $2::timestamptz)
                           ORDER BY e.n DESC LIMIT 1) v
     WHERE b.ledger_id = $1::integer
),
unexplained AS (
    SELECT b.id, a.code, a.asset, s.decimals, b.category, b.owner, b.reason,
           CASE WHEN b.n IS NULL THEN 'ledger' ELSE 'bank' END AS side,
           coalesce(l.amount, e.amount) AS amount,
           coalesce(l.booked_on, (t.effective_at AT TIME ZONE 'UTC')::date) AS day,
           CASE WHEN b.n IS NULL THEN t.id::text
                ELSE format('statement %s line %s', b.statement, b.n) END AS what
      FROM state b
      JOIN ledger.account a ON a.ledger_id = b.ledger_id AND a.id = b.account_id
      JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset
      LEFT JOIN ledger.statement_line l ON l.ledger_id = b.ledger_id AND l.account_id = b.account_id
                                       AND l.statement = b.statement AND l.n = b.n
      LEFT JOIN ledger.entry e ON e.ledger_id = b.ledger_id AND e.account_id = b.account_id AND e.seq = b.seq
      LEFT JOIN ledger.transaction t ON t.ledger_id = e.ledger_id AND t.id = e.transaction_id
     WHERE b.status = 'open' AND ($5::text IS NULL OR a.asset = $5::text)
),
aged AS (
    SELECT u.*, greatest((coalesce($2::timestamptz, now()) AT TIME ZONE 'UTC')::date - u.day, 0) AS age
      FROM unexplained u
),
answer AS (
    SELECT 'lines' AS section, id, code, asset, side, day::text AS day, age,
           CASE WHEN age <= 1 THEN '0-1' WHEN age <= 5 THEN '2-5' WHEN age <= 10 THEN '6-10'
                WHEN age <= 30 THEN '11-30' ELSE '> 30' END AS days, category, amount, owner, reason, what, decimals
      FROM aged
     UNION ALL
    SELECT 'totals', NULL, NULL, asset, NULL, NULL, max(age), NULL, category, sum(amount), NULL, NULL,
           format('%s breaks', count(*)),
           decimals
      FROM aged GROUP BY asset, category, decimals
)
SELECT section, id, asset, side, day, age, days, category, amount, owner, reason, what, code, decimals FROM answer
 ORDER BY section, CASE WHEN section = 'lines' THEN id END, asset COLLATE "C", category COLLATE "C"
