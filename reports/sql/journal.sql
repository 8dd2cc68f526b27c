-- General journal: every entry of the period, in the order of time. A page ends with a whole transaction
-- and names itself by the time and id of its last one. Where a page ends is not known before, so ever longer
-- spans of time are counted, until one has a page: it costs what is near, not what is left of the period.
edge AS (
    SELECT coalesce(greatest($3::timestamptz, split_part($10::text, '/', 1)::timestamptz),
                    CASE WHEN $6::boolean THEN '1970-01-01Z' ELSE l.created_at END) AS start
      FROM ledger.ledger l WHERE l.id = $1::integer
),
span AS (
    SELECT 0 AS step, start,
           CASE WHEN $9::bigint IS NULL THEN 'infinity' ELSE start + interval '1 second' END AS until
      FROM edge
     UNION ALL
    SELECT s.step + 1, s.start,
           CASE WHEN s.step >= 31 THEN 'infinity'
                ELSE s.start + interval '1 second' * 2::double precision ^ (s.step + 1) END
      FROM span s
     WHERE s.until < coalesce($4::timestamptz, 'infinity')
       AND (SELECT count(*) FROM (
            SELECT FROM ledger.transaction t
             WHERE t.ledger_id = $1::integer
               AND CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END >= s.start
               AND CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END < s.until
               AND ($5::text IS NULL OR EXISTS (
                    SELECT FROM ledger.entry e JOIN ledger.account a
                        ON a.ledger_id = e.ledger_id AND a.id = e.account_id
                     WHERE e.ledger_id = t.ledger_id AND e.transaction_id = t.id AND a.asset = $5::text))
               AND ($10::text IS NULL
                    OR (CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END, t.id)
                       > (split_part($10::text, '/', 1)::timestamptz, split_part($10::text, '/', 2)::uuid))
             LIMIT $9::bigint) n) < $9::bigint
),
page AS (
    SELECT t.id, CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END AS moved_at
      FROM ledger.transaction t
     WHERE t.ledger_id = $1::integer
       AND CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END >= (SELECT start FROM edge)
       AND CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END < (SELECT max(until) FROM span)
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
