-- What makes the proof of a ledger cheaper: $1 ledger. Is it the only one, are its books plain (one asset in use, every
-- account in use kept from debit or without a floor: check_plain.sql is enough), and
-- which of its accounts may be in debit. Only accounts in use count: an entry of another never cancels.
WITH used AS (
    SELECT a.id, a.asset, a.floor, a.class IN ('asset', 'expense') AS debit_side
      FROM ledger.balance b
      JOIN ledger.account a ON a.ledger_id = b.ledger_id AND a.id = b.account_id
     WHERE b.ledger_id = $1::integer AND b.entries > 0
)
SELECT (SELECT count(*) = 1 FROM ledger.ledger),
       count(DISTINCT asset) <= 1 AND count(*) FILTER (WHERE floor IS NULL) <= 1000
       AND count(*) FILTER (WHERE floor IS NOT NULL AND (floor <> 0 OR debit_side)) = 0,
       coalesce(array_agg(id) FILTER (WHERE floor IS NULL), '{}')
  FROM used
