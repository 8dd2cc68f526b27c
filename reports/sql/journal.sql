-- General journal: every entry of the period, in the order of time. A page ends with a whole transaction
-- and names itself by the time and id of its last one.
page AS (
    SELECT t.id, CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END AS moved_at
      FROM ledger.transaction t
     WHERE t.ledger_id = $1::integer
       AND ($3::timestamptz IS NULL
            OR CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END >= $3::timestamptz)
       AND ($4::timestamptz IS NULL
            OR CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END < $4::timestamptz)
       AND ($5::text IS NULL OR EXISTS (
            SELECT FROM ledger.entry e JOIN ledger.account a
                ON a.ledger_id = e.ledger_id AND a.id = e.account_id
             WHERE e.ledger_id = t.ledger_id AND e.transaction_id = t.id AND a.asset = $5::text))
       AND ($10::text IS NULL
            OR (CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END, t.id)
               > (split_part($10::text, '/', 1)::timestamptz, split_part($10::text, '/', 2)::uuid))
     ORDER BY 2, 1
     LIMIT $9::bigint
)
SELECT 'lines', p.id,
       to_char(t.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
       to_char(t.effective_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
       t.kind, a.code, a.asset,
       CASE WHEN e.amount > 0 THEN e.amount END, CASE WHEN e.amount < 0 THEN -e.amount END,
       t.reverses, t.description, s.decimals
  FROM page p
  JOIN ledger.transaction t ON t.ledger_id = $1::integer AND t.id = p.id
  JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id
  JOIN ledger.account a ON a.ledger_id = e.ledger_id AND a.id = e.account_id
  JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset
 ORDER BY p.moved_at, p.id, a.asset COLLATE "C", e.amount DESC, a.code COLLATE "C", e.seq
