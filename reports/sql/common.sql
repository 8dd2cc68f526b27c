-- Before every report. Parameters are the same for all, so that one caller serves them all:
-- $1 ledger, $2 as_of (everything before that moment; NULL: the present), $3 and $4 from and to
-- (from included, to excluded; NULL: open), $5 currency, $6 by effective time instead of booking time,
-- $7 account (id or code), $8 depth (segments of a code to roll up to; 0: whole codes), $9 most rows,
-- $10 where the page before ended, $11 who must own the account. They stand in the text itself where they
-- decide a plan: a parameter that is NULL is folded away, and the present costs the accounts and not the
-- entries.
-- The first column names the section of a row, the last the decimals of its amounts.
WITH RECURSIVE asked AS (
    SELECT $1::integer AS ledger_id, $2::timestamptz AS as_of, $3::timestamptz AS from_at,
           $4::timestamptz AS to_at, $5::text AS currency, $6::boolean AS effective, $7::text AS account,
           $8::integer AS depth, $9::bigint AS row_limit, $10::text AS after, $11::uuid AS owner_id
),
-- What came at that moment or later is taken off the snapshot, which is right now.
later AS (
    SELECT e.account_id, sum(e.amount) AS amount, count(*) AS entries
      FROM ledger.transaction t
      JOIN ledger.entry e ON e.ledger_id = t.ledger_id AND e.transaction_id = t.id
     WHERE t.ledger_id = $1::integer
       AND CASE WHEN $6::boolean THEN t.effective_at ELSE t.created_at END >= $2::timestamptz
     GROUP BY e.account_id
),
balances AS (
    SELECT a.id, a.code, a.class, a.asset, s.decimals, a.owner_id,
           b.posted - coalesce(l.amount, 0) AS posted, b.entries - coalesce(l.entries, 0) AS entries
      FROM ledger.account a
      JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset
      JOIN ledger.balance b ON b.ledger_id = a.ledger_id AND b.account_id = a.id
      LEFT JOIN later l ON l.account_id = a.id
     WHERE a.ledger_id = $1::integer
       AND ($5::text IS NULL OR a.asset = $5::text)
       AND ($2::timestamptz IS NULL OR a.created_at < $2::timestamptz
            OR b.entries > coalesce(l.entries, 0))
),
rolled AS (
    SELECT CASE WHEN $8::integer = 0 THEN code
                ELSE array_to_string((string_to_array(code, ':'))[1:$8::integer], ':') END
           COLLATE "C" AS code,
           class, asset, decimals, count(*) AS accounts, sum(entries) AS entries,
           coalesce(sum(posted) FILTER (WHERE posted > 0), 0) AS debit,
           coalesce(-sum(posted) FILTER (WHERE posted < 0), 0) AS credit,
           sum(posted) AS posted
      FROM balances
     GROUP BY 1, class, asset, decimals
),
