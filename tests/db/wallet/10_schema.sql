-- Tables, columns, keys and storage, as the journal's code and design expect them.
BEGIN;
SELECT plan(22);

SELECT tables_are('ledger', ARRAY['account', 'adjustment', 'adjustment_decision', 'asset', 'attempt', 'audit', 'balance', 'check_run', 'entry', 'ledger', 'period',
                                  'period_report', 'schema_version',
                                  'statement', 'statement_break', 'statement_break_event', 'statement_line',
                                  'statement_match', 'statement_match_entry', 'statement_match_line',
                                  'transaction']);
SELECT is((SELECT max(version) FROM ledger.schema_version), 9, 'the version of the schema');

SELECT results_eq(
    $$ SELECT format('%s.%s %s%s', attrelid::regclass, attname, format_type(atttypid, atttypmod),
                     CASE WHEN attnotnull THEN '' ELSE ' null' END) COLLATE "default"
         FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
        WHERE relnamespace = 'ledger'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
        ORDER BY attrelid::regclass::text COLLATE "C", attnum $$,
    ARRAY[
        'ledger.account.ledger_id integer', 'ledger.account.id uuid', 'ledger.account.owner_id uuid null',
        'ledger.account.asset text', 'ledger.account.class text', 'ledger.account.code text',
        'ledger.account.status text', 'ledger.account.floor numeric(38,0) null',
        'ledger.account.metadata jsonb', 'ledger.account.created_at timestamp with time zone',
        'ledger.adjustment.ledger_id integer', 'ledger.adjustment.id uuid', 'ledger.adjustment.debit_id uuid null',
        'ledger.adjustment.credit_id uuid null', 'ledger.adjustment.amount numeric(38,0) null',
        'ledger.adjustment.effective_at timestamp with time zone null', 'ledger.adjustment.breaks bigint[] null',
        'ledger.adjustment.reason text', 'ledger.adjustment.proposed_by uuid',
        'ledger.adjustment.idempotency_key text', 'ledger.adjustment.request_digest bytea',
        'ledger.adjustment.proposed_at timestamp with time zone',
        'ledger.adjustment_decision.ledger_id integer', 'ledger.adjustment_decision.adjustment_id uuid',
        'ledger.adjustment_decision.proposed_by uuid', 'ledger.adjustment_decision.approved boolean',
        'ledger.adjustment_decision.decided_by uuid', 'ledger.adjustment_decision.reason text',
        'ledger.adjustment_decision.match_id bigint null',
        'ledger.adjustment_decision.decided_at timestamp with time zone',
        'ledger.asset.ledger_id integer', 'ledger.asset.code text', 'ledger.asset.decimals smallint',
        'ledger.attempt.ledger_id integer', 'ledger.attempt.subject uuid', 'ledger.attempt.number bigint',
        'ledger.audit.id bigint', 'ledger.audit.recorded_at timestamp with time zone',
        'ledger.audit.event text', 'ledger.audit.outcome text', 'ledger.audit.actor text null',
        'ledger.audit.subject text null', 'ledger.audit.reason text null',
        'ledger.audit.request_id text null', 'ledger.audit.address text null',
        'ledger.audit.agent text null', 'ledger.audit.detail jsonb',
        'ledger.balance.ledger_id integer', 'ledger.balance.account_id uuid',
        'ledger.balance.posted numeric(38,0)', 'ledger.balance.held numeric(38,0)',
        'ledger.balance.entries bigint', 'ledger.balance.revision bigint',
        'ledger.check_run.ledger_id integer', 'ledger.check_run.number bigint', 'ledger.check_run.mode text',
        'ledger.check_run.started_at timestamp with time zone',
        'ledger.check_run.finished_at timestamp with time zone', 'ledger.check_run.watermark xid8',
        'ledger.check_run.cluster bigint', 'ledger.check_run.transactions bigint',
        'ledger.check_run.entries bigint', 'ledger.check_run.differences bigint',
        'ledger.check_run.findings jsonb',
        'ledger.entry.ledger_id integer', 'ledger.entry.account_id uuid', 'ledger.entry.seq bigint',
        'ledger.entry.transaction_id uuid', 'ledger.entry.amount numeric(38,0)',
        'ledger.entry.balance_after numeric(38,0)',
        'ledger.ledger.id integer', 'ledger.ledger.name text',
        'ledger.ledger.created_at timestamp with time zone',
        'ledger.period.ledger_id integer', 'ledger.period.from_at timestamp with time zone',
        'ledger.period.to_at timestamp with time zone', 'ledger.period.closed_at timestamp with time zone',
        'ledger.period.closed_by uuid', 'ledger.period.reason text',
        'ledger.period_report.ledger_id integer', 'ledger.period_report.to_at timestamp with time zone',
        'ledger.period_report.report text', 'ledger.period_report.digest bytea',
        'ledger.period_report.made_at timestamp with time zone',
        'ledger.schema_version.version integer', 'ledger.schema_version.deployed_at timestamp with time zone',
        'ledger.statement.ledger_id integer', 'ledger.statement.account_id uuid',
        'ledger.statement.number integer', 'ledger.statement.reference text',
        'ledger.statement.bank_account text', 'ledger.statement.sequence bigint null',
        'ledger.statement.format text', 'ledger.statement.file_name text', 'ledger.statement.file_digest bytea',
        'ledger.statement.content_digest bytea', 'ledger.statement.opened_on date',
        'ledger.statement.closed_on date', 'ledger.statement.opening numeric(38,0)',
        'ledger.statement.closing numeric(38,0)', 'ledger.statement.line_count integer',
        'ledger.statement.imported_by text', 'ledger.statement.imported_at timestamp with time zone',
        'ledger.statement.recorded_xid xid8', 'ledger.statement_break.ledger_id integer',
        'ledger.statement_break.id bigint', 'ledger.statement_break.account_id uuid',
        'ledger.statement_break.statement integer null', 'ledger.statement_break.n integer null',
        'ledger.statement_break.seq bigint null', 'ledger.statement_break.found_at timestamp with time zone',
        'ledger.statement_break_event.ledger_id integer', 'ledger.statement_break_event.break_id bigint',
        'ledger.statement_break_event.n integer', 'ledger.statement_break_event.status text',
        'ledger.statement_break_event.category text', 'ledger.statement_break_event.owner text null',
        'ledger.statement_break_event.reason text null', 'ledger.statement_break_event.match_id bigint null',
        'ledger.statement_break_event.transaction_id uuid null', 'ledger.statement_break_event.made_by text',
        'ledger.statement_break_event.approved_by text null',
        'ledger.statement_break_event.made_at timestamp with time zone',
        'ledger.statement_line.ledger_id integer', 'ledger.statement_line.account_id uuid',
        'ledger.statement_line.statement integer', 'ledger.statement_line.n integer',
        'ledger.statement_line.booked_on date', 'ledger.statement_line.value_on date null',
        'ledger.statement_line.amount numeric(38,0)', 'ledger.statement_line.refs text[]',
        'ledger.statement_line.bank_reference text', 'ledger.statement_line.counterparty text',
        'ledger.statement_line.description text', 'ledger.statement_line.reversal boolean',
        'ledger.statement_match.ledger_id integer', 'ledger.statement_match.account_id uuid',
        'ledger.statement_match.id bigint', 'ledger.statement_match.pass smallint',
        'ledger.statement_match.made_by text', 'ledger.statement_match.made_at timestamp with time zone',
        'ledger.statement_match.recorded_xid xid8', 'ledger.statement_match_entry.ledger_id integer',
        'ledger.statement_match_entry.account_id uuid', 'ledger.statement_match_entry.seq bigint',
        'ledger.statement_match_entry.match_id bigint', 'ledger.statement_match_line.ledger_id integer',
        'ledger.statement_match_line.account_id uuid', 'ledger.statement_match_line.statement integer',
        'ledger.statement_match_line.n integer', 'ledger.statement_match_line.match_id bigint',
        'ledger.transaction.ledger_id integer', 'ledger.transaction.id uuid', 'ledger.transaction.kind text',
        'ledger.transaction.principal uuid', 'ledger.transaction.idempotency_key text',
        'ledger.transaction.request_digest bytea',
        'ledger.transaction.effective_at timestamp with time zone',
        'ledger.transaction.created_at timestamp with time zone', 'ledger.transaction.reverses uuid null',
        'ledger.transaction.description text null', 'ledger.transaction.metadata jsonb null',
        'ledger.transaction.recorded_xid xid8'],
    'every column, its type and whether it may be null');

SELECT col_is_pk('ledger', 'ledger', 'id', 'key of ledger');
SELECT col_is_pk('ledger', 'asset', ARRAY['ledger_id', 'code'], 'key of asset');
SELECT is((SELECT pg_get_constraintdef(oid) FROM pg_constraint
            WHERE conrelid = 'ledger.account'::regclass AND contype = 'p'),
          'PRIMARY KEY (ledger_id, id) INCLUDE (asset)', 'key of account, with the asset');
SELECT col_is_pk('ledger', 'balance', ARRAY['ledger_id', 'account_id'], 'key of balance');
SELECT col_is_pk('ledger', 'transaction', ARRAY['ledger_id', 'id'], 'key of transaction');
SELECT col_is_pk('ledger', 'entry', ARRAY['ledger_id', 'account_id', 'seq'], 'key of entry');
SELECT col_is_unique('ledger', 'ledger', ARRAY['name'], 'names of ledgers');
SELECT col_is_unique('ledger', 'account', ARRAY['ledger_id', 'code'], 'codes of accounts');
SELECT is((SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'transaction_idempotency_key'),
          'UNIQUE (ledger_id, principal, idempotency_key)', 'transaction_idempotency_key');
SELECT is((SELECT collname FROM pg_attribute a JOIN pg_collation c ON c.oid = attcollation
            WHERE attrelid = 'ledger.transaction'::regclass AND attname = 'idempotency_key'), 'C',
          'keys are compared byte by byte');
SELECT fk_ok('ledger', 'account', ARRAY['ledger_id', 'asset'], 'ledger', 'asset', ARRAY['ledger_id', 'code']);
SELECT fk_ok('ledger', 'balance', ARRAY['ledger_id', 'account_id'], 'ledger', 'account',
             ARRAY['ledger_id', 'id']);
SELECT fk_ok('ledger', 'transaction', ARRAY['ledger_id', 'reverses'], 'ledger', 'transaction',
             ARRAY['ledger_id', 'id']);
SELECT is((SELECT indexdef FROM pg_indexes WHERE indexname = 'account_owner'),
          'CREATE INDEX account_owner ON ledger.account USING btree (ledger_id, owner_id, created_at, id) '
          'WHERE (owner_id IS NOT NULL)', 'an owner''s accounts in order');
SELECT indexes_are('ledger', 'balance', ARRAY['balance_pkey'],
                   'balance has no index but its key: updates stay HOT');
SELECT indexes_are('ledger', 'entry', ARRAY['entry_pkey', 'entry_transaction']);
SELECT indexes_are('ledger', 'transaction', ARRAY['transaction_pkey', 'transaction_idempotency_key',
                                                  'transaction_reversed_once', 'transaction_moments']);
SELECT is((SELECT indexdef FROM pg_indexes WHERE indexname = 'transaction_moments'),
          'CREATE INDEX transaction_moments ON ledger.transaction USING brin (created_at, effective_at) '
          'WITH (pages_per_range=''64'', autosummarize=''on'')', 'moments, in a few kilobytes');
SELECT ok((SELECT 'fillfactor=50' = ANY (reloptions) FROM pg_class WHERE oid = 'ledger.balance'::regclass),
          'pages of balance are half empty');

SELECT * FROM finish();
ROLLBACK;
