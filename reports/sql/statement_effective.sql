-- Account statement by effective time: opening, every movement with the running balance, closing; seen from
-- the account's own side. Balance and line number are counted in the order of effective time, which the
-- journal does not keep: it costs the account's entries. A page names itself by the number of its last line.
account AS (
    SELECT a.id, a.asset, s.decimals, CASE WHEN a.class IN ('asset', 'expense') THEN 1 ELSE -1 END AS side
      FROM ledger.account a
      JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset
     WHERE a.ledger_id = $1::integer
       AND (a.id = CASE WHEN $7::text ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
                        THEN $7::uuid END
            OR a.code = $7::text COLLATE "C")
       AND ($5::text IS NULL OR a.asset = $5::text)
       AND ($11::uuid IS NULL OR a.owner_id = $11::uuid)
),
movements AS (
    SELECT e.seq, t.id, t.kind, t.created_at, t.effective_at, t.reverses, t.description,
           e.amount * a.side AS amount
      FROM account a
      JOIN ledger.entry e ON e.ledger_id = $1::integer AND e.account_id = a.id
      JOIN ledger.transaction t ON t.ledger_id = $1::integer AND t.id = e.transaction_id
     WHERE $4::timestamptz IS NULL OR t.effective_at < $4::timestamptz
),
running AS (
    SELECT *, sum(amount) OVER turn AS balance, row_number() OVER turn AS line
      FROM movements
    WINDOW turn AS (ORDER BY effective_at, seq ROWS UNBOUNDED PRECEDING)
),
inside AS (
    SELECT * FROM running WHERE $3::timestamptz IS NULL OR effective_at >= $3::timestamptz
),
answer AS (
    SELECT 1 AS place, 'opening' AS section, NULL::bigint AS line, NULL::text AS booked_at,
           NULL::text AS effective_at, NULL::text AS kind, NULL::text AS transaction_id,
           NULL::text AS reverses, NULL::text AS description, NULL::numeric AS amount,
           coalesce((SELECT sum(amount) FROM running
                      WHERE $3::timestamptz IS NOT NULL AND effective_at < $3::timestamptz), 0) AS balance
      FROM account
     UNION ALL
    (SELECT 2, 'lines', line,
           to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           to_char(effective_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           kind, id::text, reverses::text, description, amount, balance
      FROM inside
     WHERE $10::text IS NULL OR line > $10::bigint
     ORDER BY line
     LIMIT $9::bigint)
     UNION ALL
    SELECT 3, 'closing', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           coalesce((SELECT sum(amount) FROM running), 0)
      FROM account
)
SELECT n.section, n.line, n.booked_at, n.effective_at, n.kind, n.transaction_id, n.reverses,
       n.description, a.asset, n.amount, n.balance, a.decimals
  FROM answer n CROSS JOIN account a
 ORDER BY n.place, n.line
