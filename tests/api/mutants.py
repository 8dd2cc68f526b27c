"""mutants.py [NAME ...]: breaks one behaviour of the C code at a time, and looks that a test fails.

Works in a git worktree of HEAD in a temporary folder; the checkout is not touched. Each line of its
output is a mutant, what failed for it, or MISSED. Exits with 1 when one was missed, or when the
code that it would change is no longer there.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path

from support.cluster import Cluster
from support.settings import REPO

# changes: (file, text that stands there once, what takes its place); tests: file and -k expression.
Mutant = namedtuple("Mutant", "name changes tests")


def mutant(name, path, old, new, file, chosen):
    return Mutant(name, [(path, old, new)], (file, chosen))


POSTING = "ledger_core/engine/posting.c"
BATCH = "ledger_core/journal/batch.c"
STATEMENTS = "ledger_core/journal/batch_statements.c"
CHECK, PLAIN, PROOF = ("reports/command_check.c", "reports/sql/check_plain.sql", "reports/sql/check_proof.sql")
MUTANTS = [
    mutant("funds_not_checked", POSTING,
           "    return below_floor(&batch->accounts[leg->account], leg->amount > 0, leg->balance_after);",
           "    return below_floor(&batch->accounts[leg->account], leg->amount > 0, leg->balance_after) &&\n"
           "           false;",
           "test_contract_wallet.py", "more_than_there_is"),
    mutant("transfer_from_anybody", POSTING, "if (!owns(command, own)) {",
           "if (!owns(command, own) && false) {", "test_contract_access.py", "wrong_owner"),
    mutant("deposit_to_anybody_is_403", POSTING,
           "return command->own == command->other ||"
           " !owns(command, &batch->accounts[command->own]);",
           "return command->own == command->other;",
           "test_contract_wallet.py", "account_not_found_is_404"),
    mutant("self_transfer_is_404", POSTING, "return POSTING_SAME_ACCOUNT;",
           "return POSTING_ACCOUNT_NOT_FOUND;", "test_contract_differences.py", "self_transfer"),
    mutant("currencies_mixed", POSTING, "if (!same_asset(own, other)) {",
           "if (!same_asset(own, other) && false) {",
           "test_contract_differences.py", "different_currencies"),
    Mutant("zero_is_an_amount", [
        (POSTING, "if (command->amount.coefficient == 0) {",
         "if (command->amount.coefficient < 0) {"),
        ("wallet_api/operation.c", "if (amount->coefficient == 0) {",
         "if (amount->coefficient < 0) {")],
        ("test_contract_wallet.py", "zero")),
    mutant("changed_request_is_the_same", POSTING, "return POSTING_DUPLICATE_CHANGED;",
           "return POSTING_DUPLICATE;", "test_idempotency.py", "changed or another_request"),
    mutant("keys_shared_by_users", STATEMENTS, "AND x.principal = k.principal",
           "AND (x.principal = k.principal OR true)", "test_idempotency.py", "two_users"),
    mutant("keys_not_looked_up", STATEMENTS, "AND x.idempotency_key = k.key",
           "AND false AND x.idempotency_key = k.key", "test_idempotency.py", "second_use"),
    mutant("snapshots_not_locked", STATEMENTS, "ORDER BY b.account_id FOR UPDATE",
           "ORDER BY b.account_id", "test_concurrency.py", "two_processes"),
    mutant("amount_rounded", "ledger_core/engine/money.c",
           "    if (decimal.decimals > asset_decimals) {\n"
           "        return MONEY_SCALE_TOO_PRECISE;\n",
           "    while (decimal.decimals > asset_decimals) {\n        decimal.coefficient /= 10;\n"
           "        decimal.decimals--;\n",
           "test_contract_differences.py", "more_decimals"),
    mutant("lost_commit_counts_as_done", "ledger_core/journal/poster.c",
           "    case DB_END_LOST:\n        lose_range(journal, true, result);\n        return;\n",
           "    case DB_END_LOST:\n        break;\n",
           "test_restart.py", "kill_9_of_postgresql or backends"),
    mutant("queue_without_limit", "ledger_core/journal/journal.c",
           "journal->queued + count > journal->settings.queue_max",
           "journal->queued + count > 100 * journal->settings.queue_max",
           "test_service.py", "queue_that_is_full"),
    mutant("waits_for_a_database_that_is_away", "ledger_core/journal/journal.c",
           "#define DOWN_GRACE_US 500000", "#define DOWN_GRACE_US 500000000",
           "test_service.py", "database_away"),
    mutant("key_of_7_characters", "wallet_api/operation.c",
           "if (length < 8 ||", "if (length < 7 ||",
           "test_contract_wallet.py", "idempotency_key_refused"),
    mutant("balance_as_a_number", "wallet_api/operation.c",
           "json_write_text(writer, balance, length);", "json_write_raw(writer, balance, length);",
           "test_contract_differences.py", "new_balance_is_a_string"),
    mutant("replay_without_its_header", "wallet_api/money.c",
           'http_set_header(call->request, "Idempotent-Replayed", "true");', ";",
           "test_idempotency.py", "replays_the_first_answer"),
    mutant("batch_never_atomic", "wallet_api/batch.c", "*atomic = flag != NULL && flag->boolean;",
           "*atomic = false;", "test_batch.py", "atomic"),
    mutant("history_oldest_first", "ledger_core/journal/reader.c", '" ORDER BY e.seq DESC"}',
           '" ORDER BY e.seq"}', "test_contract_history.py", "newest_first"),
    mutant("history_limit_above_100", "wallet_api/history.c",
           'handler_query_number(request, "limit", 1, READER_PAGE_MAX,',
           'handler_query_number(request, "limit", 1, READER_PAGE_MAX + 1,',
           "test_contract_history.py", "out_of_range"),
    mutant("route_without_a_document", "wallet_api/routes.c",
           '    READ_ROUTE("/wallet/accounts", accounts_list),\n',
           '    READ_ROUTE("/wallet/accounts", accounts_list),\n'
           '    READ_ROUTE("/wallet/everything", accounts_list),\n',
           "test_openapi.py", "every_route"),
    mutant("two_content_lengths", "service_kit/http_edge.c",
           '{"content-length", 14, HTTP_FAULT_LENGTH}', '{"content-length", 14, HTTP_FAULT_NONE}',
           "test_http_raw.py", "two_requests"),
    mutant("two_authorizations", "service_kit/http_edge.c",
           '{"authorization", 13, HTTP_FAULT_AUTHORIZATION}',
           '{"authorization", 13, HTTP_FAULT_NONE}', "test_http_raw.py", "two_authorization"),
    mutant("request_id_reflected", "service_kit/http_edge.c",
           "if (value.length == 0 || value.length > HTTP_REQUEST_ID_MAX)\n        return false;",
           "if (value.length > 0)\n        return true;", "test_http_raw.py", "request_id"),
    mutant("any_media_type", "service_kit/http_gate.c", "if (wants_json && body.len > 0 &&",
           "if (wants_json && body.len > 1000000 &&", "test_http_raw.py", "media_type"),
    mutant("duplicate_json_keys", "service_kit/json.c", "                    return b;\n",
           "                    return NULL;\n", "test_http_raw.py", "json"),
    mutant("duplicate_json_keys_of_many", "service_kit/json.c", "    return duplicate;",
           "    return NULL;", "test_http_raw.py", "json"),
    mutant("http2_on", "service_kit/http_server.c", "upgrade_to_http2 = 0;",
           "upgrade_to_http2 = 1;", "test_http_raw.py", "http2"),
    mutant("problem_as_plain_json", "service_kit/http_reply.c", '"application/problem+json"',
           '"application/json"', "test_contract_differences.py", "problem_details"),
    mutant("no_challenge", "service_kit/http_reply.c", "if (status == 401 && !has_header",
           "if (status == 999 && !has_header", "test_contract_access.py", "www_authenticate"),
    mutant("idle_clients_stay", "service_kit/http_server.c",
           "(uint64_t)server->settings.receive_timeout_ms;",
           "(uint64_t)server->settings.receive_timeout_ms * 1000;",
           "test_slow_clients.py", "sent_away"),
    mutant("expired_token", "service_kit/token.c", "if (times.expires <= now_unix_s) {",
           "if (times.expires < 0) {", "test_contract_access.py", "token"),
    mutant("issuer_not_asked", "service_kit/token.c", "if (is_asked(policy->issuer)) {",
           "if (is_asked(policy->issuer) && false) {", "test_contract_access.py", "operator"),
    mutant("short_jwt_secret", "service_kit/service.h", ".minimum = TOKEN_SECRET_MIN,",
           ".minimum = TOKEN_SECRET_MIN - 1,", "test_contract_config.py", "short"),
    mutant("superuser_accepted", "service_kit/db_check.c", '{"superuser", {"f"},',
           '{"superuser", {"f", "t"},', "test_service.py", "superuser"),
    mutant("query_in_the_log", "service_kit/http_request.c",
           'log_text(line, "path", request->path.base, request->path.length);',
           'log_text(line, "path", request->path.base, request->path.length + '
           "request->query.length + 1);", "test_service.py", "secret"),
    mutant("requests_not_counted", "service_kit/http_metrics.c",
           "metrics->requests[route * SLOTS + status_slot(status)],\n                1);",
           "metrics->requests[route * SLOTS + status_slot(status)],\n                0);",
           "test_service.py", "metrics"),
    mutant("stop_cuts_requests_off", "service_kit/service_threads.c",
           "!(thread->drain_expired || is_drained(thread))", "false",
           "test_service.py", "in_flight"),
    mutant("name_of_2_characters", "auth_api/credentials.c", "length < USERNAME_MIN",
           "length < USERNAME_MIN - 1", "test_contract_auth.py", "username_refused"),
    Mutant("72_bytes_are_enough", [
        ("auth_api/password.c",
         "return length > BCRYPT_PHRASE_MAX ? PASSWORD_FORM_PREHASHED : PASSWORD_FORM_PLAIN;",
         "return length > 1000 ? PASSWORD_FORM_PREHASHED : PASSWORD_FORM_PLAIN;"),
        ("auth_api/password.c", "(parts->form != PASSWORD_FORM_PLAIN || length <= BCRYPT_PHRASE_MAX)",
         "(parts->form != PASSWORD_FORM_PLAIN || length <= 1000)")],
        ("test_contract_auth.py", "long_password or 72_bytes")),
    mutant("unknown_user_answered_at_once", "auth_api/login.c",
           "    const char *stored = attempt->password_hash;\n",
           "    if (!attempt->found) {\n"
           "        hashing_wipe(&login->hashing);\n"
           '        attempt_fail(attempt, "unknown_user");\n'
           "        return;\n"
           "    }\n"
           "    const char *stored = attempt->password_hash;\n",
           "test_login_times.py", "same_time"),
    mutant("token_for_a_minute_more", "auth_api/session.c",
           "expire_minutes * 60);\n    store_add_integer(&params, auth->sessions_per_user_max);",
           "expire_minutes * 60 + 60);\n"
           "    store_add_integer(&params, auth->sessions_per_user_max);",
           "test_contract_auth.py", "60_minutes"),
    Mutant("password_in_the_log", [
        ("auth_api/credentials.c", '#include "service_kit/http.h"\n',
         '#include "service_kit/http.h"\n#include "service_kit/log.h"\n'),
        ("auth_api/credentials.c", "    memcpy(hashing->password, password->text",
         '    log_message(LOG_DEBUG, "credentials", "password", password->text);\n'
         "    memcpy(hashing->password, password->text")],
        ("test_canary.py", "any_log")),
    mutant("refresh_tokens_stored_as_they_are", "auth_api/session.c",
           "        length != SESSION_SECRET_SIZE) {\n        abort();\n    }\n}\n\nstatic void keyed(",
           "        length != SESSION_SECRET_SIZE) {\n        abort();\n    }\n"
           "    memcpy(hash, secret, SESSION_SECRET_SIZE);\n}\n\nstatic void keyed(",
           "test_canary.py", "any_log"),
    mutant("jwt_secret_at_the_start", "service_kit/service.c",
           'log_string(&line, "commit", PACIOLI_COMMIT);',
           'log_string(&line, "commit", process->config->jwt_secret);', "test_canary.py", "any_log"),
    mutant("denials_in_no_trail", "auth_api/main.c", "        .on_denied = audit_denied,\n", "",
           "test_audit_events.py", "authz_fail"),
    mutant("logout_without_a_session_in_no_trail", "auth_api/session.h",
           "auth.audit_write('authn_token_revoked'", "concat('authn_token_revoked'",
           "test_audit_events.py", "without_a_session"),
    mutant("renewals_in_no_trail", "migrations/auth/deploy/sessions.sql",
           "PERFORM auth.audit_write('session_renewed'", "PERFORM concat('session_renewed'",
           "test_audit_complete.py", "auth_api"),
    mutant("forgets_what_a_token_needs", "migrations/auth/deploy/forgetting.sql",
           " AND access_until < now()\n", "\n", "test_forgetting.py", "refuses_a_token"),
    mutant("forgets_used_tokens", "migrations/auth/deploy/forgetting.sql",
           "WHERE session_id = ANY (over) LIMIT p_most",
           "WHERE session_id = ANY (over) OR used_at < now() - interval '1 day' LIMIT p_most",
           "test_forgetting.py", "oldest_token"),
    mutant("a_204_of_length_0", "service_kit/http_reply.c", "status == 204 ? SIZE_MAX : length",
           "length", "test_sessions.py", "no_length"),
    mutant("challenge_without_a_reason", "service_kit/http_reply.c",
           'error=\\"invalid_token\\", error_description=\\"%s\\""',
           'error=\\"invalid_token\\", error_hint=\\"%s\\""',
           "test_contract_access.py", "challenge"),
    mutant("moments_settle_by_xmax", "reports/settle.c", "ELSE pg_current_xact_id()::text END",
           "ELSE (pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1)::text END",
           "test_reports.py", "waits_for_those or not_settled"),
    mutant("moments_may_lie_ahead", "reports/settle.c", "$1::timestamptz > clock_timestamp() THEN",
           "false THEN", "test_reports.py", "has_not_passed"),
    mutant("a_moment_is_included", "reports/sql/common.sql", "END >= $2::timestamptz",
           "END > $2::timestamptz", "test_reports.py", "past_moments"),
    mutant("statement_of_anybody", "reports/sql/statement.sql",
           "AND ($11::uuid IS NULL OR a.owner_id = $11::uuid)", "", "test_reports.py",
           "unknown_accounts"),
    mutant("statement_reads_on", "reports/sql/statement.sql",
           "least(b.last, greatest(b.first, $10::bigint + 1) + $9::bigint - 1)", "b.last + 1",
           "test_reports.py", "statements_of_random"),
    mutant("page_of_journal_too_short", "reports/sql/journal.sql", "LIMIT $9::bigint) n) < $9",
           "LIMIT $9::bigint) n) < $9 / 2", "test_effective_time.py", "pages_of_the_journal"),
    mutant("report_of_any_size", "wallet_api/reports.c", "#define ROWS_MAX       20000",
           "#define ROWS_MAX       2000000", "test_reports.py", "too_large"),
    mutant("formula_as_it_is", "reports/render.c", 'strchr("=+-@\\t\\r", *text) != NULL',
           'strchr("~", *text) != NULL', "test_reports.py", "formula"),
    Mutant("plain_balances_not_hashed", [
        (PLAIN, "hashint4extended(e.seq, e.account # e.balance_after)", "hashint4extended(e.seq, e.account)"),
        (PLAIN, "hashint4extended(e.seq - 1, e.account # (e.balance_after - e.amount))",
         "hashint4extended(e.seq - 1, e.account)"),
        (PLAIN, "hashint4extended(b.entries, b.account # b.posted)", "hashint4extended(b.entries, b.account)")],
        ("test_check.py", "running and plain")),
    mutant("plain_debits_allowed", PLAIN, "FILTER (WHERE e.balance_after <= 0 OR", "FILTER (WHERE true OR",
           "test_check.py", "moment and plain"),
    mutant("plain_amounts_not_paired", PLAIN,
           "THEN hashint4extended(-1, e.transaction # e.amount) # e.transaction\n"
           "                      ELSE hashint4extended(-1, e.transaction # -e.amount) END)",
           "THEN e.transaction ELSE 0 END)",
           "test_check.py", "exchanged and plain"),
    mutant("proof_without_currencies", PROOF, "hashtextextended(a.asset, $2::bigint) AS asset_seed",
           "$2::bigint AS asset_seed", "test_check.py", "between_currencies"),
    mutant("proof_without_floors", PROOF, "e.steps = s.steps AND e.beyond = 0", "e.steps = s.steps",
           "test_check.py", "moment and five"),
    mutant("bad_run_is_believed", CHECK, "AND r.differences = 0", "",
           "test_check.py", "history"),
    mutant("writer_in_progress_is_forgotten", CHECK, "SELECT pg_snapshot_xmin(pg_current_snapshot())",
           "SELECT pg_snapshot_xmax(pg_current_snapshot())", "test_check.py", "writer_in_progress"),
    mutant("differences_exit_0", CHECK, "return check->differences == 0 ? 0 : EXIT_DIFFERENCES;", "return 0;",
           "test_check.py", "snapshot and one"),
    mutant("effective_time_dropped", BATCH,
           "from->dated ? from->effective_us : AT_BOOKING;", "AT_BOOKING;",
           "test_effective_time.py", "show_it or trial_balance"),
    mutant("closed_period_left_to_the_insert", POSTING, "if (command->too_early) {",
           "if (command->too_early && false) {", "test_effective_time.py", "neighbours"),
    mutant("closed_period_is_a_fault", "wallet_api/operation.c",
           'strcmp(command->sqlstate, "PC030") == 0', 'strcmp(command->sqlstate, "PC999") == 0',
           "test_effective_time.py", "between_the_look"),
    mutant("anybody_dates", "wallet_api/money.c",
           "!http_require_role(request, HTTP_ROLE_OPERATOR)", "false",
           "test_effective_time.py", "for_operators"),
    mutant("anybody_dates_in_a_batch", "wallet_api/batch.c",
           "operation_is_dated(node) && !batch->may_date", "false",
           "test_effective_time.py", "for_operators"),
    mutant("key_without_its_time", "ledger_core/journal/digest.c",
           "wire_int64_put(at, command->effective_us);", "wire_int64_put(at, 0);",
           "test_effective_time.py", "part_of_the_request"),
    mutant("status_before_the_lock", "migrations/wallet/deploy/adjustments.sql",
           "b.account_id IN (p_debit, p_credit) ORDER BY b.account_id FOR UPDATE;",
           "b.account_id IN (p_debit, p_credit) ORDER BY b.account_id;",
           "test_adjustments.py", "not_missed"),
    mutant("own_proposal_approved", "migrations/wallet/deploy/adjustments.sql",
           "WHEN p_approve AND asked.proposed_by = p_principal THEN 'own_proposal'",
           "WHEN false THEN 'own_proposal'", "test_adjustments.py", "another_approves"),
    mutant("rejection_posts", "wallet_api/adjustments.c",
           "control_decide(&operation->thread->reader, &operation->call,\n"
           "                                                 &operation->actor, &id, approve)",
           "control_decide(&operation->thread->reader, &operation->call,\n"
           "                                                 &operation->actor, &id, true)",
           "test_adjustments.py", "rejected"),
    mutant("unknown_currency_is_empty", "wallet_api/reports.c",
           "if (call->query.currency == NULL) {", "if (true) {", "test_reports.py",
           "unknown_currencies"),
]


class Workshop:
    """A worktree, its build, and a server for the tests."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="pacioli-mutants-"))
        self.tree = self.folder / "tree"
        self.build = self.tree / "build" / "release"
        self.run("git", "-C", REPO, "worktree", "add", "--detach", self.tree, "HEAD")
        self.run("cmake", "--preset", "release", "-DPACIOLI_WERROR=OFF", cwd=self.tree)
        self.server = Cluster().create()

    def run(self, *command, cwd=None):
        run = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True)
        if run.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}:\n{run.stdout}{run.stderr}")
        return run

    def make(self):
        self.run("cmake", "--build", "--preset", "release", "--target", "programs", cwd=self.tree)

    def test(self, file, chosen):
        """The tests that failed, or what the run ended with."""
        server = self.server
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith(("PG", "TEST_"))}
        environment.update(
            TEST_BUILD_DIR=str(self.build), TEST_PGHOST=server.host, TEST_PGPORT=str(server.port),
            TEST_PGUSER=server.user, TEST_PGPASSWORD=server.password, TEST_BROWSER="0",
            PYTHONDONTWRITEBYTECODE="1")
        for role in ("AUTH_OWNER", "AUTH_SERVICE", "WALLET_OWNER", "WALLET_SERVICE"):
            environment[f"{role}_PASSWORD"] = server.password
        run = subprocess.run(
            ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no",
             f"tests/api/{file}", "-k", chosen],
            cwd=self.tree, env=environment, capture_output=True, text=True)
        if run.returncode in (0, 5):  # 5: none was chosen, so none noticed
            return []
        return re.findall(r"^(?:FAILED|ERROR) \S*::(\S+)", run.stdout, re.MULTILINE) or [
            run.stdout.strip().splitlines()[-1]]

    def change(self, changes):
        """False when the code to be changed is not there exactly once."""
        for path, old, new in changes:
            text = (self.tree / path).read_text()
            if text.count(old) != 1:
                return False
            (self.tree / path).write_text(text.replace(old, new))
        return True

    def restore(self):
        self.run("git", "checkout", "--", ".", cwd=self.tree)

    def close(self):
        self.server.stop()
        self.run("git", "-C", REPO, "worktree", "remove", "--force", self.tree)
        shutil.rmtree(self.folder, ignore_errors=True)


def main(names):
    unknown = set(names) - {one.name for one in MUTANTS}
    if unknown:
        sys.exit(f"no such mutant: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # cleans up all the same
    chosen = [one for one in MUTANTS if not names or one.name in names]
    workshop, bad = Workshop(), 0
    try:
        workshop.make()
        for file in sorted({one.tests[0] for one in chosen}):
            expression = " or ".join(f"({one.tests[1]})" for one in chosen if one.tests[0] == file)
            failed = workshop.test(file, expression)
            if failed:
                sys.exit(f"{file} fails before anything is broken: {failed}")
        for one in chosen:
            noticed, told = try_mutant(workshop, one)
            bad += not noticed
            print(f"{one.name:34} {told}", flush=True)
    finally:
        workshop.close()
    print(f"{len(chosen) - bad} of {len(chosen)} were noticed")
    return 1 if bad else 0


def try_mutant(workshop, one):
    """(was it noticed?, by what)"""
    try:
        if not workshop.change(one.changes):
            return False, "THE CODE IS NOT THERE"
        workshop.make()
        failed = workshop.test(*one.tests)
        return (True, f"{len(failed)} failed: {failed[0]}") if failed else (False, "MISSED")
    finally:
        workshop.restore()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
