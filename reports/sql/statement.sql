-- Account statement by booking time: opening, every movement with the running balance, closing; seen from
-- the account's own side. The running balance is the journal's own, and a line's number is its number in
-- the account. Later lines were booked later (README, "Moments"), so both edges of a period are found by
-- halving, and a page costs its lines, however long the account is. A page names itself by the number of its
-- last line.
account AS (
    SELECT a.id, a.asset, s.decimals, b.entries,
           CASE WHEN a.class IN ('asset', 'expense') THEN 1 ELSE -1 END AS side
      FROM ledger.account a
      JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset
      JOIN ledger.balance b ON b.ledger_id = a.ledger_id AND b.account_id = a.id
     WHERE a.ledger_id = $1::integer
       AND (a.id = CASE WHEN $7::text ~ '^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$'
                        THEN $7::uuid END
            OR a.code = $7::text COLLATE "C")
       AND ($5::text IS NULL OR a.asset = $5::text)
       AND ($11::uuid IS NULL OR a.owner_id = $11::uuid)
),
-- The line `below` was booked before the moment, `above` not: 0 and one behind the last stand for them.
halving AS (
    SELECT e.edge, e.moment, 0::bigint AS below, a.entries + 1 AS above
      FROM account a, (VALUES ('from', $3::timestamptz), ('to', $4::timestamptz)) AS e (edge, moment)
     WHERE e.moment IS NOT NULL
     UNION ALL
    SELECT h.edge, h.moment, CASE WHEN m.created_at < h.moment THEN m.seq ELSE h.below END,
           CASE WHEN m.created_at < h.moment THEN h.above ELSE m.seq END
      FROM halving h
     CROSS JOIN account a
     CROSS JOIN LATERAL (
           SELECT e.seq, t.created_at
             FROM ledger.entry e
             JOIN ledger.transaction t ON t.ledger_id = e.ledger_id AND t.id = e.transaction_id
            WHERE e.ledger_id = $1::integer AND e.account_id = a.id AND e.seq = (h.below + h.above) / 2
           OFFSET 0) m
     WHERE h.above - h.below > 1
),
bounds AS (
    SELECT coalesce((SELECT above FROM halving WHERE edge = 'from' AND above - below = 1), 1) AS first,
           coalesce((SELECT below FROM halving WHERE edge = 'to' AND above - below = 1), a.entries) AS last
      FROM account a
),
-- Numbers have no gaps: the page's last one is known before. The limit cuts nothing, it is for the planner.
page AS (
    SELECT e.seq, e.transaction_id, e.amount, e.balance_after
      FROM account a
     CROSS JOIN bounds b
      JOIN ledger.entry e ON e.ledger_id = $1::integer AND e.account_id = a.id
           AND e.seq BETWEEN greatest(b.first, $10::bigint + 1)
                         AND least(b.last, greatest(b.first, $10::bigint + 1) + $9::bigint - 1)
     LIMIT $9::bigint
),
answer AS (
    SELECT 1 AS place, 'opening' AS section, NULL::bigint AS line, NULL::text AS booked_at,
           NULL::text AS effective_at, NULL::text AS kind, NULL::text AS transaction_id,
           NULL::text AS reverses, NULL::text AS description, NULL::numeric AS amount,
           (SELECT e.balance_after FROM ledger.entry e
             WHERE e.ledger_id = $1::integer AND e.account_id = a.id AND e.seq = least(b.first - 1, b.last))
           AS balance
      FROM account a CROSS JOIN bounds b
     UNION ALL
    SELECT 2, 'lines', p.seq,
           to_char(t.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           to_char(t.effective_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
           t.kind, t.id::text, t.reverses::text, t.description, p.amount, p.balance_after
      FROM page p
      JOIN ledger.transaction t ON t.ledger_id = $1::integer AND t.id = p.transaction_id
     UNION ALL
    SELECT 3, 'closing', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
           (SELECT e.balance_after FROM ledger.entry e
             WHERE e.ledger_id = $1::integer AND e.account_id = a.id AND e.seq = b.last)
      FROM account a CROSS JOIN bounds b
)
SELECT n.section, n.line, n.booked_at, n.effective_at, n.kind, n.transaction_id, n.reverses,
       n.description, a.asset, n.amount * a.side,
       CASE WHEN n.balance IS NULL THEN 0 ELSE n.balance * a.side END, a.decimals
  FROM answer n CROSS JOIN account a
 ORDER BY n.place, n.line
