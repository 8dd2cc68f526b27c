"""GET /reports/..., the owner's statement and ledger_report, against a model of the API's answers."""

import csv
import io
import random
import secrets
import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from support.api import NOBODY, assert_invalid, assert_ok, assert_problem, new_key
from support.books import (CURRENCIES, Books, Reader, make_currencies, moment_text, run_tool,
                           text_of, times_to_ask, trial_balance)
from support.cluster import Cluster
from support.databases import Databases, check_invariants
from support.service import Service
from support.settings import scaled
from support.waiting import wait_until

NAMES = ("accounts", "trial-balance", "balance-sheet", "income-statement", "journal",
         "customer-balances", "daily-movement")
OF_A_PERIOD = ("income-statement", "journal", "daily-movement")
SEED = 20261125


@pytest.fixture(scope="module")
def database():
    """On a server of our own: a moment in the past is settled when every writer of the server is done."""
    server = Cluster().create()
    database = Databases(server).copy("wallet")
    make_currencies(database)
    # Autovacuum would tell the index of new rows, too.
    database.execute("ALTER TABLE ledger.transaction SET (autovacuum_enabled = off)")
    yield database
    check_invariants(database)
    server.stop()


@pytest.fixture(scope="module")
def service(database, secret, folder):
    service = Service("wallet_api", {**database.environment(), "JWT_SECRET": secret,
                                     "REQUEST_TIMEOUT_MS": "3000"}, folder).start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def books(service, secret):
    books = Books(service, secret, SEED)
    books.happen(150)
    time.sleep(1.1)  # moments of the last second are waited for: once, here
    yield books
    books.close()


@pytest.fixture(scope="module")
def movements(books):
    return books.movements()


@pytest.fixture(scope="module")
def moments(movements):
    return [moment_text(time) for time in times_to_ask(movements, 9, random.Random(SEED))]


def before(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def sums(rows, column):
    found = defaultdict(Decimal)
    for row in rows:
        found[row["currency"]] += Decimal(row[column] or 0)
    return dict(found)


def query_of(name, moment):
    return {"to": moment} if name in OF_A_PERIOD else {"as_of": moment}


# ---- against the model ----

def test_trial_balance_at_past_moments(reader, movements, moments):
    for at in moments:
        answer = reader.report("trial-balance", as_of=at)
        model = trial_balance(movements, before(at))
        expected = []
        for currency in sorted(model):
            held = text_of(sum(model[currency].values()), CURRENCIES[currency])
            zero = text_of(Decimal(0), CURRENCIES[currency])
            expected += [("assets:settlement", currency, held, zero, held),
                         ("liabilities:wallets", currency, zero, held,
                          held if Decimal(held) == 0 else f"-{held}")]
        found = [(row["code"], row["currency"], row["debit"], row["credit"], row["balance"])
                 for row in answer["lines"]]
        assert found == expected, f"as of {at}"
        assert all(row["debit"] == row["credit"] for row in answer["totals"])
        assert {row["currency"] for row in answer["totals"]} == set(model)


def test_present_trial_balance_is_that_after_the_last_movement(reader, movements):
    at = moment_text(max(movement.at for movement in movements) + timedelta(microseconds=1))
    present, then = reader.report("trial-balance"), reader.report("trial-balance", as_of=at)
    assert present["lines"] == then["lines"] and present["totals"] == then["totals"]
    assert {row["currency"] for row in present["totals"]} == set(CURRENCIES)


def test_customer_balances_at_past_moments_page_by_page(reader, books, movements, moments):
    for at in moments[:5]:
        lines, last = reader.pages("customer-balances", 4, as_of=at)
        model = trial_balance(movements, before(at))
        found = {row["account_id"]: row["balance"] for row in lines}
        expected = {account: text_of(model[currency][account], CURRENCIES[currency])
                    for account, (_, currency) in books.accounts.items() if account in found}
        assert found == expected and len(found) == len(lines), f"as of {at}"
        assert [row["account_id"] for row in lines] == sorted(found)
        with_money = {a for balances in model.values() for a, held in balances.items() if held}
        assert with_money <= set(found), "expected everybody who has something"
        totals = {row["currency"]: Decimal(row["balance"]) for row in last["totals"]}
        for currency, total in totals.items():
            assert total == sum(model[currency].values())


def statement_of(movements, account, start, end):
    """(opening, lines, closing) of the model."""
    own = sorted((m for m in movements if m.account == account), key=lambda m: m.line)
    decimals = CURRENCIES[own[0].currency] if own else 2
    opening = sum((m.amount for m in own if m.at < start), Decimal(0))
    balance, lines = opening, []
    for movement in own:
        if start <= movement.at < end:
            balance += movement.amount
            lines.append((movement.line, movement.transaction, text_of(movement.amount, decimals),
                          text_of(balance, decimals)))
    return text_of(opening, decimals), lines, text_of(balance, decimals)


@pytest.mark.parametrize("time_of", ["booking", "effective"])
def test_statements_of_random_periods(reader, books, movements, time_of):
    source = random.Random(SEED)
    active = sorted({movement.account for movement in movements})
    for account in source.sample(active, 6):
        user, _ = books.accounts[account]
        start, end = sorted(times_to_ask(movements, 8, source)[-2:])
        query = {"from": moment_text(start), "to": moment_text(end), "time": time_of}
        lines, after, answers = [], None, []
        while True:
            answers.append(assert_ok(user.http.get(
                f"/wallet/accounts/{account}/statement",
                params={**query, "limit": 3, **({"after": after} if after else {})})))
            lines += answers[-1]["lines"]
            after = answers[-1]["next"]
            if after is None:
                break
        opening, expected, closing = statement_of(movements, account, start, end)
        found = [(row["line"], row["transaction_id"], row["amount"], row["balance"])
                 for row in lines]
        assert found == expected, f"{account} {query}"
        for answer in answers:
            assert [row["balance"] for row in answer["opening"]] == [opening]
            assert [row["balance"] for row in answer["closing"]] == [closing]
        whole = reader.report("statement", account=account, limit=1000, **query)
        assert whole["lines"] == lines, "expected the auditor to see what the owner sees"


def test_statement_of_the_settlement_account_by_its_code(reader, movements):
    answer = reader.report("statement", account="assets:settlement:BTC", limit=1000)
    model = sum(m.amount for m in movements if m.currency == "BTC")
    assert Decimal(answer["closing"][0]["balance"]) == model
    assert [row["line"] for row in answer["lines"]] == list(range(1, len(answer["lines"]) + 1))


@pytest.mark.parametrize("time_of", ["booking", "effective"])
def test_general_journal_page_by_page(reader, movements, moments, time_of):
    at = moments[3]
    lines, _ = reader.pages("journal", 7, to=at, time=time_of)
    expected = {m.transaction for m in movements if m.at < before(at)}
    assert {row["transaction_id"] for row in lines} == expected
    sides = defaultdict(Decimal)
    for row in lines:
        sides[row["transaction_id"]] += Decimal(row["debit"] or 0) - Decimal(row["credit"] or 0)
    assert not any(sides.values()), "expected every transaction to balance"
    order = [(row["booked_at"], row["transaction_id"]) for row in lines]
    assert order == sorted(order)
    whole = reader.report("journal", to=at, limit=1000, time=time_of)
    assert whole["lines"] == lines and whole["next"] is None
    of_one, _ = reader.pages("journal", 3, to=at, currency="ETH", time=time_of)
    assert of_one == [row for row in lines if row["currency"] == "ETH"]


def test_daily_movement_sums_what_moved(reader, movements, moments):
    start, end = sorted(moments[3:5])
    answer = reader.report("daily-movement", to=end, **{"from": start})
    moved = [m for m in movements if before(start) <= m.at < before(end)]
    taken = sums([{"currency": m.currency, "amount": m.amount} for m in moved if m.amount < 0],
                 "amount")
    wallets = [row for row in answer["lines"] if row["code"] == "liabilities:wallets"]
    assert sums(wallets, "debit") == {
        currency: -taken.get(currency, Decimal(0)) for currency in sums(wallets, "debit")}
    assert all(row["debit"] == row["credit"] for row in answer["totals"])
    assert {row["currency"] for row in answer["totals"]} == {m.currency for m in moved}


def test_chart_of_accounts_rolls_up(reader, books):
    by_depth = {depth: reader.report("accounts", depth=depth)["lines"] for depth in (0, 1, 2)}
    count = sum(row["accounts"] for row in by_depth[2] if row["code"] == "liabilities:wallets")
    assert count == len(books.accounts)
    codes = {row["code"] for row in by_depth[0] if row["class"] == "liability"}
    assert codes == {f"liabilities:wallets:{account}" for account in books.accounts}
    assert {row["code"] for row in by_depth[1]} == {"assets", "liabilities"}
    for depth in (1, 2):
        assert sums([row for row in by_depth[0] if row["class"] == "liability"], "balance") == sums(
            [row for row in by_depth[depth] if row["class"] == "liability"], "balance")


# ---- the same moment, the same bytes; HTTP and the tool say the same ----

def test_same_moment_same_bytes_while_books_grow(reader, books, database, moments):
    queries = [(name, format, query_of(name, moments[4])) for name in NAMES
               for format in ("json", "csv")]
    first = [reader.get(name, format=format, **query).content for name, format, query in queries]
    books.happen(20)
    for (name, format, query), content in zip(queries, first):
        again = reader.get(name, format=format, **query)
        assert again.content == content, f"{name} as {format}"
    for name, format, query in queries:
        arguments = [name, f"--format={format}"]
        arguments += [f"--{key.replace('_', '-')}={value}" for key, value in query.items()]
        if name in ("journal", "customer-balances"):
            arguments.append("--limit=100")
        run = run_tool(database, *arguments)
        assert run.returncode == 0, run.stderr
        assert run.stdout == first[queries.index((name, format, query))], f"{name} as {format}"


def test_csv_has_the_json_s_cells(reader, moments):
    for name in NAMES:
        query = query_of(name, moments[5])
        response = reader.http.get(f"/reports/{name}", params=query, headers={"Accept": "text/csv"})
        assert response.headers["content-type"] == "text/csv; charset=utf-8"
        assert response.text.endswith("\r\n")
        rows = list(csv.DictReader(io.StringIO(response.text)))
        answer = reader.report(name, **query)
        expected = [{"section": section, **{key: "" if value is None else str(value)
                                            for key, value in row.items()}}
                    for section in ("lines", "totals") for row in answer.get(section, [])]
        assert rows == expected, name


def test_text_is_aligned_without_blanks_at_the_end(database, books):
    run = run_tool(database, "trial-balance")
    lines = run.stdout.decode().splitlines()
    assert run.returncode == 0 and not [line for line in lines if line != line.rstrip()]
    body = [line for line in lines if line.startswith(("assets:", "liabilities:"))]
    assert len({len(line) for line in body}) == 1, "expected numbers to end in one column"


# ---- moments ----

NEW_RANGES = "SELECT brin_summarize_new_values('ledger.transaction_moments')"


def test_a_report_of_the_past_tells_the_index_of_new_rows(reader, database, moments):
    """And the tool does; what the index has not been told of is read whole."""
    for report in (lambda: reader.report("trial-balance", as_of=moments[3]),
                   lambda: run_tool(database, "trial-balance", f"--as-of={moments[3]}")):
        database.execute("SELECT brin_desummarize_range('ledger.transaction_moments', 0)")
        report()
        assert database.query(NEW_RANGES) == [(0,)], "expected that nothing is new to it"


def test_a_role_that_may_only_read_will_do(database, moments):
    role, password = f"auditor_{secrets.token_hex(4)}", secrets.token_hex(16)
    for statement in (f"CREATE ROLE {role} LOGIN PASSWORD '{password}'",
                      f'GRANT CONNECT ON DATABASE "{database.name}" TO {role}',
                      f"GRANT USAGE ON SCHEMA ledger TO {role}",
                      f"GRANT SELECT ON ALL TABLES IN SCHEMA ledger TO {role}"):
        database.execute(statement)
    try:
        for arguments in (("trial-balance", f"--as-of={moments[3]}"), ("trial-balance",)):
            run = run_tool(database, *arguments, POSTGRES_USER=role, POSTGRES_PASSWORD=password)
            assert (run.returncode, run.stderr) == (0, b"")
            assert run.stdout == run_tool(database, *arguments).stdout
    finally:
        database.execute(f"DROP OWNED BY {role}")
        database.execute(f"DROP ROLE {role}")


def test_a_report_does_not_wait_for_who_is_at_the_table(reader, database, moments):
    database.execute("SELECT brin_desummarize_range('ledger.transaction_moments', 0)")
    with database.connect() as connection, connection.transaction():
        connection.execute("LOCK TABLE ledger.transaction IN SHARE UPDATE EXCLUSIVE MODE")
        began = time.monotonic()
        before = reader.report("trial-balance", as_of=moments[3])
        assert time.monotonic() - began < scaled(1)
    assert database.query(NEW_RANGES) == [(1,)], "expected that it was left to whoever comes next"
    assert reader.report("trial-balance", as_of=moments[3]) == before


def test_a_moment_that_has_not_passed_is_refused(reader, database):
    ahead = moment_text(datetime.now(timezone.utc) + timedelta(minutes=1))
    assert_invalid(reader.get("trial-balance", as_of=ahead), "as_of")
    assert_invalid(reader.get("journal", to=ahead), "to")
    assert_ok(reader.get("trial-balance", as_of=ahead, time="effective"))
    run = run_tool(database, "trial-balance", f"--as-of={ahead}")
    assert run.returncode == 2 and b"has not passed yet" in run.stderr and not run.stdout


def test_a_moment_waits_for_those_who_may_book_before_it(reader, books, database):
    answers = []
    with database.connect() as writer:
        writer.autocommit = False
        writer.execute("SELECT pg_current_xact_id()")  # it writes, and has not ended
        now = moment_text(datetime.now(timezone.utc))
        asking = threading.Thread(
            target=lambda: answers.append(reader.get("trial-balance", as_of=now)))
        asking.start()
        time.sleep(2)
        assert not answers, "expected no answer while a writer is in progress"
        writer.commit()
        asking.join(10)
    assert_ok(answers[0])


def test_a_moment_that_is_not_settled_in_time_is_told_so(reader, books, database):
    with database.connect() as writer:
        writer.autocommit = False
        writer.execute("SELECT pg_current_xact_id()")
        now = moment_text(datetime.now(timezone.utc))
        response = reader.get("trial-balance", as_of=now)
        assert_problem(response, 503)
        assert response.headers["retry-after"] == "1"
        assert_ok(reader.get("trial-balance"))
        writer.rollback()
    assert_ok(reader.get("trial-balance", as_of=now))


# ---- load and failure ----

def test_reports_that_take_long_keep_nobody_else_waiting(reader, books, database):
    account = next(iter(books.accounts))
    user, _ = books.accounts[account]
    with database.connect() as blocker, ThreadPoolExecutor(24) as pool:
        blocker.autocommit = False
        blocker.execute("LOCK TABLE ledger.ledger IN ACCESS EXCLUSIVE MODE")  # only journal reads it
        asked = [pool.submit(reader.get, "journal") for _ in range(24)]
        time.sleep(0.5)
        begun = time.monotonic()
        assert_ok(user.http.get(f"/wallet/accounts/{account}"))
        assert time.monotonic() - begun < scaled(1), "expected other reads to go on"
        answers = [one.result() for one in asked]
        blocker.rollback()
    problems = Counter(assert_problem(answer, 503)["type"].rpartition(":")[2] for answer in answers)
    assert problems["overloaded"] >= 24 - 1 - 16, problems
    assert problems["overloaded"] + problems["deadline"] == 24, problems
    wait_until(lambda: reader.get("journal").status_code == 200, "the queue to be empty again", 10)


def test_a_lost_connection_is_made_again(reader, books, database):
    database.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                     " WHERE datname = current_database() AND application_name LIKE '%% reports'")
    response = reader.get("trial-balance")
    if response.status_code != 200:
        assert_problem(response, 503)
    wait_until(lambda: reader.get("trial-balance").status_code == 200, "reports again", 10)


# ---- what is refused ----

@pytest.mark.parametrize("report, query, field", [
    ("trial-balance", {"as_of": "yesterday"}, "as_of"),
    ("trial-balance", {"as_of": "2026-11-24T12:00:00"}, "as_of"),
    ("trial-balance", {"as_of": "2026-02-30"}, "as_of"),
    ("trial-balance", {"from": "2026-11-24"}, "from"),
    ("trial-balance", {"depth": "17"}, "depth"),
    ("trial-balance", {"limit": "5"}, "limit"),
    ("trial-balance", {"currency": "rub'--"}, "currency"),
    ("trial-balance", {"format": "xml"}, "format"),
    ("trial-balance", {"time": "local"}, "time"),
    ("journal", {"from": "2026-11-24", "to": "2026-11-22"}, "from"),
    ("journal", {"limit": "0"}, "limit"),
    ("journal", {"limit": "1001"}, "limit"),
    ("journal", {"after": "1"}, "after"),
    ("journal", {"after": "2026-11-24T12:00:00Z/x"}, "after"),
    ("customer-balances", {"after": "x"}, "after"),
    ("statement", {}, "account"),
    ("statement", {"account": "x" * 256}, "account"),
    ("statement", {"account": "a\0b"}, "account"),
    ("statement", {"account": "a", "after": "9" * 19}, "after"),
])
def test_wrong_parameters(reader, report, query, field):
    assert_invalid(reader.get(report, **query), field)


def test_unknown_currencies(reader, books, database):
    """An empty report would say that nothing had happened."""
    for name in (*NAMES, "breaks", "reconciliation"):
        answer = reader.get(name, currency="XQZ")
        if name == "reconciliation":
            assert answer.status_code == 422
        else:
            assert_invalid(answer, "currency")
    assert_invalid(reader.get("statement", account="assets:settlement:RUB", currency="XQZ"), "currency")
    account, (user, _) = next(iter(books.accounts.items()))
    answer = user.http.get(f"/wallet/accounts/{account}/statement", params={"currency": "XQZ"})
    assert_invalid(answer, "currency")
    done = run_tool(database, "trial-balance", "--currency", "XQZ")
    assert (done.returncode, done.stdout) == (2, b"") and b"--currency: XQZ" in done.stderr


def test_unknown_accounts(reader, books):
    for account in (NOBODY, "nothing", "x' OR 'x'='x", "é"):
        assert_problem(reader.get("statement", account=account), 404, "Account not found")
    user, other = books.users[:2]
    foreign = next(a for a, (owner, _) in books.accounts.items() if owner is other)
    assert_problem(user.http.get(f"/wallet/accounts/{foreign}/statement"), 404)


def test_a_report_that_is_too_large_points_elsewhere(reader, books, database):
    database.execute("""
        WITH made AS (
            INSERT INTO ledger.account (ledger_id, id, owner_id, asset, class, code, floor)
            SELECT l.id, gen_random_uuid(), gen_random_uuid(), 'RUB', 'liability',
                   'liabilities:many:' || n, 0
              FROM ledger.ledger l, generate_series(1, 20001) n WHERE l.name = 'main'
            RETURNING ledger_id, id)
        INSERT INTO ledger.balance (ledger_id, account_id) SELECT ledger_id, id FROM made""")
    problem = assert_problem(reader.get("accounts", depth=0), 422)
    assert problem["type"].endswith(":report_too_large")
    assert_ok(reader.get("accounts", depth=2))
    assert_ok(reader.get("accounts", depth=0, currency="BTC"))
    run = run_tool(database, "accounts", "--depth=0", "--format=csv")
    assert run.returncode == 0 and run.stdout.count(b"\r\n") > 20001


def test_the_books_of_nobody(databases, secret, folder):
    database = databases.copy("wallet")
    service = Service("wallet_api", {**database.environment(), "JWT_SECRET": secret},
                      folder).start()
    reader = Reader(service, secret, roles=["operator"])
    for name in NAMES:
        answer = reader.report(name)
        assert answer["lines"] == [] and answer.get("totals", []) == [], name
    answer = reader.report("statement", account="assets:settlement:RUB")
    assert [answer[section][0]["balance"] for section in ("opening", "closing")] == ["0.00"] * 2
    reader.http.close()
    service.stop()


def test_a_reason_that_is_a_formula_is_text_in_csv(reader, books, service, secret):
    operator = Reader(service, secret, roles=["operator"])
    account = next(iter(books.accounts))
    user, currency = books.accounts[account]
    wrong = assert_ok(user.deposit(account, books.amount(currency)))["transaction"]
    reason = '=HYPERLINK("http://example.org";"x")'
    reversal = assert_ok(operator.http.post(
        f"/wallet/transactions/{wrong}/reverse",
        json={"reason": reason, "idempotency_key": new_key()}))["transaction"]
    operator.http.close()
    lines, _ = reader.pages("journal", 1000)
    mine = [row for row in lines if row["transaction_id"] == reversal]
    assert [(row["description"], row["reverses"], row["kind"]) for row in mine] == [
        (reason, wrong, "reversal")] * 2
    text = reader.get("journal", limit=1000, format="csv").text
    assert [row["description"] for row in csv.DictReader(io.StringIO(text))
            if row["transaction_id"] == reversal] == ["'" + reason] * 2
