-- Deploy pacioli_wallet:moments to pg
-- requires: chart
-- Reports look for what came since a moment, or within a period. Rows lie in the order of booking, so a few
-- kilobytes of block ranges find them, and cost a writer next to nothing. A transaction that is booked for
-- long ago widens one range of effective times.

BEGIN;
SET LOCAL lock_timeout = '5s';

CREATE INDEX transaction_moments ON ledger.transaction USING brin (created_at, effective_at)
    WITH (pages_per_range = 64, autosummarize = on);

COMMIT;
