-- Before the reports of a period: the entries of the period, with their accounts.
movements AS (
    SELECT t.id AS transaction_id, t.kind, t.created_at, t.effective_at,
           CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END AS moved_at, t.description,
           e.account_id, e.seq, e.amount, e.balance_after,
           CASE WHEN $8::integer = 0 THEN a.code
                ELSE array_to_string((string_to_array(a.code, ':'))[1:$8::integer], ':') END
           COLLATE "C" AS code, a.class, a.asset, s.decimals
      FROM ledger.transaction t
      JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id
      JOIN ledger.account a ON a.ledger_id = e.ledger_id AND a.id = e.account_id
      JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset
     WHERE t.ledger_id = $1::integer
       AND ($3::timestamptz IS NULL
            OR CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END >= $3::timestamptz)
       AND ($4::timestamptz IS NULL
            OR CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END < $4::timestamptz)
       AND ($5::text IS NULL OR a.asset = $5::text)
),
