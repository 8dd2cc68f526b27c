"""Operators date money operations: what shows it, who may not, and what a closed period refuses."""

import datetime
import hashlib
import json
import threading
import time
from collections import defaultdict
from decimal import Decimal

import pytest

from support.api import assert_invalid, assert_ok, assert_problem, new_key
from support.books import CURRENCIES, make_currencies, moment, run_tool
from support.load import together
from support.waiting import wait_until


@pytest.fixture(scope="module")
def database(databases):
    database = databases.copy("wallet")
    make_currencies(database)
    return database


@pytest.fixture(scope="module")
def operator(make):
    return make("user", "operator")


def close(operator, to):
    return operator.http.post("/reports/periods/close", json={"to": to, "reason": "month end"})


def kind_of(problem):
    return problem["type"].rpartition(":")[2]


def batch(user, *operations, atomic=False):
    return user.http.post("/wallet/batch", json={"operations": list(operations), "atomic": atomic})


def dated_deposit(account, at, amount="1", **more):
    dated = {} if at is None else {"effective_at": at}
    return {"type": "deposit", "account_id": account, "amount": amount,
            "idempotency_key": new_key(), **dated, **more}


# ---- what shows it ----

def test_pages_of_the_journal_are_full_however_far_apart_its_transactions(operator, reader):
    """The page's end is looked for in ever longer spans: seconds, days, months."""
    account = operator.account()
    start = datetime.datetime(2019, 1, 1, tzinfo=datetime.timezone.utc)
    posted = [assert_ok(operator.deposit(
        account, "1", effective_at=(start + datetime.timedelta(seconds=2 ** n)).isoformat()))["transaction"]
        for n in range(22)]
    for limit in (2, 3, 5):
        pages, after = [], None
        while after is not None or not pages:
            answer = reader.report("journal", limit=limit, time="effective", to="2020-01-01", after=after,
                                   from_="2019-01-01")
            pages.append(list(dict.fromkeys(row["transaction_id"] for row in answer["lines"])))
            after = answer["next"]
        assert sum(pages, []) == posted
        assert {len(page) for page in pages[:-1]} == {limit}


def test_history_transaction_reports_and_exports_show_it(operator, reader, database):
    account, second = operator.account(), operator.account()
    assert_ok(operator.deposit(account, "10", effective_at="2024-05-05"))
    assert_ok(operator.withdraw(account, "3", effective_at="2024-06-01T01:00:00.000001+02:00"))
    assert_ok(operator.transfer(account, second, "2", effective_at="2024-06-02T12:00:00Z"))
    assert_ok(operator.deposit(account, "1"))
    expected = ["2024-05-05T00:00:00.000000Z", "2024-05-31T23:00:00.000001Z",
                "2024-06-02T12:00:00.000000Z", None]
    rows = operator.rows(account)
    assert [row.get("effective_at") for row in rows] == expected
    today = datetime.datetime.now(datetime.timezone.utc)
    assert all(abs(moment(row["created_at"]) - today).total_seconds() < 60 for row in rows)
    for row, at in zip(rows, expected):
        shown = assert_ok(operator.http.get(f"/wallet/transactions/{row['id']}"))
        assert shown["effective_at"] == (at or shown["created_at"])

    def balance(as_of, time_of):
        lines = reader.report("statement", account=account, to=as_of, time=time_of)["closing"]
        return lines[0]["balance"]

    assert [balance(at, "effective") for at in ("2024-05-04", "2024-05-05", "2024-05-31",
                                                "2024-06-30")] == ["0.00", "10.00", "7.00", "5.00"]
    assert balance("2024-06-30", "booking") == "0.00"
    lines = run_tool(database, "export", "--format", "jsonl").stdout.splitlines()
    exported = {row["id"]: row["effective_at"] for row in map(json.loads, lines)
                if "effective_at" in row}
    assert [exported[row["id"]] for row in rows[:3]] == expected[:3]


def test_the_time_is_a_part_of_the_request(operator):
    account, key = operator.account(), new_key()
    first = assert_ok(operator.deposit(account, "1", key=key, effective_at="2024-01-01T03:00:00+03:00"))
    same = assert_problem(operator.deposit(account, "1", key=key, effective_at="2024-01-01"), 409)
    assert (same["same_request"], same["transaction"]) == (True, first["transaction"])
    for other in ({"effective_at": "2024-01-02"}, {}):
        changed = assert_problem(operator.deposit(account, "1", key=key, **other), 409)
        assert changed["same_request"] is False
    assert operator.balance(account) == "1.00"


@pytest.mark.parametrize("at", [
    None, 7, "", "today", "2024-02-30", "2024-01-01T00:00:00", "1969-12-31", "9998-01-01",
    "infinity", True, ["2024-01-01"]])
def test_times_that_are_wrong(operator, at):
    account, key = operator.account(), new_key()
    assert_invalid(operator.deposit(account, "1", key=key, effective_at=at), "effective_at")
    answer = assert_ok(batch(operator, dated_deposit(account, None),
                             dated_deposit(account, None, effective_at=at)))
    assert answer["accepted"] == 1
    assert answer["results"][1]["errors"][0]["field"] == "operations[1].effective_at"
    assert_ok(operator.deposit(account, "1", key=key))


def test_what_is_to_come_is_refused(operator):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=30)
    answer = operator.deposit(operator.account(), "1", effective_at=soon.isoformat())
    assert assert_invalid(answer, "effective_at")["errors"][0]["reason"] == "must have passed"


# ---- who may not ----

@pytest.mark.parametrize("roles", [("user",), ("auditor",), ("user", "admin")])
def test_it_is_for_operators(make, reader, roles):
    somebody = make(*roles)
    account, second, at = somebody.account(funds="5"), somebody.account(), "2024-01-01"
    for answer in (somebody.deposit(account, "1", effective_at=at),
                   somebody.withdraw(account, "1", effective_at=at),
                   somebody.transfer(account, second, "1", effective_at=at)):
        assert kind_of(assert_problem(answer, 403)) == "insufficient_role"
        assert 'scope="operator"' in answer.headers["www-authenticate"]
    mixed = dated_deposit(account, None), dated_deposit(account, at), dated_deposit(account, None)
    answer = assert_ok(batch(somebody, *mixed))
    assert [result["status"] for result in answer["results"]] == [200, 403, 200]
    assert kind_of(answer["results"][1]) == "insufficient_role"
    assert kind_of(assert_problem(batch(somebody, *mixed, atomic=True), 422)) == "batch_refused"
    assert (somebody.balance(account), somebody.balance(second)) == ("7.00", "0.00")

    def subjects():
        noted = assert_ok(reader.http.get("/audit", params={"event": "authz_fail"}))
        return sorted(event["subject"] for event in noted if event["actor"] == somebody.id)

    wait_until(lambda: len(subjects()) == 5, "five lines of the audit trail")
    assert subjects() == ["POST /wallet/batch", "POST /wallet/batch", "POST /wallet/deposit",
                          "POST /wallet/transfer", "POST /wallet/withdraw"]


# ---- closed periods; each test closes further than the one before ----

def test_a_closed_period_refuses_for_ever(operator):
    account, key, old = operator.account(funds="9"), new_key(), new_key()
    first = assert_ok(operator.deposit(account, "1", key=old, effective_at="2025-01-15"))
    assert_ok(close(operator, "2025-01-31"))
    at = "2025-01-31T23:59:59.999999Z"
    for refused in (lambda: operator.deposit(account, "1", key=key, effective_at=at),
                    lambda: operator.withdraw(account, "1", key=key, effective_at=at),
                    lambda: operator.transfer(account, operator.account(), "1", key=key,
                                              effective_at=at)):
        for _ in range(2):
            problem = assert_invalid(refused(), "effective_at")
            assert (kind_of(problem), problem["title"]) == ("period_locked", "Period closed")
    header = {"Idempotency-Key": key}
    body = {"account_id": account, "amount": "1", "effective_at": at}
    answers = [operator.money("deposit", body, headers=header) for _ in range(2)]
    assert {answer.status_code for answer in answers} == {422}
    assert answers[0].content == answers[1].content, "expected the same answer again"
    # What was posted before the closing is a repetition, not a refusal.
    same = assert_problem(operator.deposit(account, "1", key=old, effective_at="2025-01-15"), 409)
    assert (same["same_request"], same["transaction"]) == (True, first["transaction"])
    # The key is not used up, and the first moment after the period is open.
    assert_ok(operator.deposit(account, "1", key=key, effective_at="2025-02-01"))
    assert operator.balance(account) == "11.00"


def test_neighbours_of_what_is_refused(operator, make):
    close(operator, "2025-01-31")  # if no test before has
    account, user = operator.account(), make("user")
    theirs = user.account(funds="100")
    locked, fine = dated_deposit(account, "2025-01-01"), dated_deposit(account, "2025-02-02")
    answer = assert_ok(batch(operator, dated_deposit(account, None), locked, fine))
    assert [result["status"] for result in answer["results"]] == [200, 422, 200]
    assert kind_of(answer["results"][1]) == "period_locked"
    assert answer["results"][1]["errors"][0]["field"] == "operations[1].effective_at"
    atomic = assert_problem(batch(operator, dated_deposit(account, None), locked, atomic=True), 422)
    assert [kind_of(result) for result in atomic["results"]] == ["batch_refused", "period_locked"]
    assert operator.balance(account) == "2.00"

    def work(number):
        if number % 2:
            return operator.http.post("/wallet/deposit", json={
                key: value for key, value in dated_deposit(account, "2025-01-01").items()
                if key != "type"}).status_code
        return user.withdraw(theirs, "1").status_code

    assert together(16, work) == [200, 422] * 8


def closing(database, to):
    """A closing that is not committed yet: (connection, the moment from which on it is seen)."""
    connection = database.connect()
    connection.autocommit = False
    done, = connection.execute(
        "SELECT ledger.close_period(1, %s, '7b0b6c1e-4f7e-4b55-8d0e-2f4f5b1f9a10', 'x', '{}')",
        (to,)).fetchone()
    assert done == "done"
    return connection


def test_a_period_that_is_closed_between_the_look_and_the_insert(operator, database):
    """The insert meets it: refused all the same, alone, in a batch, and all-or-nothing."""
    account = operator.account()
    locked = dated_deposit(account, "2025-03-01")
    single = {name: value for name, value in locked.items() if name != "type"}
    calls = [lambda: operator.http.post("/wallet/deposit", json=single),
             lambda: batch(operator, dated_deposit(account, None), locked,
                           dated_deposit(account, "2025-12-31")),
             lambda: batch(operator, locked, dated_deposit(account, None), atomic=True)]
    answers = []
    for month, call in zip((4, 5, 6), calls):
        connection = closing(database, f"2025-{month:02}-01T00:00:00Z")
        locked["effective_at"] = single["effective_at"] = f"2025-{month - 1:02}-15"
        waiting = threading.Thread(target=lambda call=call: answers.append(call()))
        waiting.start()
        time.sleep(0.3)
        assert waiting.is_alive(), "expected the insert to wait for the closing"
        connection.commit()
        connection.close()
        waiting.join()
    assert kind_of(assert_invalid(answers[0], "effective_at")) == "period_locked"
    results = assert_ok(answers[1])["results"]
    assert [result["status"] for result in results] == [200, 422, 200]
    assert kind_of(results[1]) == "period_locked"
    whole = assert_problem(answers[2], 422)
    assert (kind_of(whole), whole["accepted"]) == ("batch_refused", 0)
    assert operator.balance(account) == "2.00"


def test_dated_postings_while_periods_are_closed(operator, make, database):
    """Each is in the period's report, or refused: no report changes once it is made."""
    account = operator.account()
    colleague = make("operator")
    days = [f"2025-07-{day:02}" for day in range(1, 25)]

    def work(number):
        if number == 0:
            return [close(colleague, day).status_code for day in days]
        return [operator.deposit(account, "1", effective_at=f"{days[(number + n) % 24]}T12:00:00Z")
                .status_code for n in range(30)]

    answers = together(6, work)
    assert set(answers[0]) == {200}
    statuses = sum(answers[1:], [])
    assert set(statuses) <= {200, 422} and 422 in statuses
    assert operator.balance(account) == f"{statuses.count(200)}.00"
    changed = database.query("SELECT p.to_at FROM ledger.period_report p"
                             " WHERE p.report <> ledger.trial_balance_text(1, p.to_at)")
    assert changed == []


# ---- the stored report and the trial balance ----

def stored_lines(period):
    """{(class, code, currency): (accounts, debit, credit)} in minor units."""
    rows = [line.split(",") for line in period["trial_balance"].splitlines()[1:]]
    return {tuple(row[:3]): tuple(map(int, row[3:])) for row in rows}


def shown_lines(reader, to):
    """The same, made of GET /reports/trial-balance at that moment of effective time."""
    decimals = defaultdict(lambda: 2, CURRENCIES)
    found = defaultdict(lambda: [0, 0, 0])
    for line in reader.report("trial-balance", as_of=to, time="effective", depth=0)["lines"]:
        minor = [int(Decimal(line[side]).scaleb(decimals[line["currency"]]))
                 for side in ("debit", "credit")]
        code = "liabilities:wallets" if line["code"].startswith("liabilities:wallets:") else line["code"]
        for name in ((line["class"], code, line["currency"]), ("total", "", line["currency"])):
            for place, value in enumerate([int(minor != [0, 0]), *minor]):
                found[name][place] += value
    return {name: tuple(values) for name, values in found.items() if values[0]}


def test_the_stored_report_is_the_trial_balance(operator, reader, make, database):
    """For the same moment, with reversals and effective times, then and ever after."""
    user = make("user")
    mine = {currency: operator.account(currency=currency) for currency in CURRENCIES}
    theirs = {currency: user.account(currency=currency) for currency in CURRENCIES}
    reversed_later = []
    for number, currency in enumerate(CURRENCIES):
        def post(what, *accounts, amount, at, currency=currency):
            return assert_ok(what(*(of[currency] for of in accounts), amount, effective_at=at))

        post(operator.deposit, mine, amount=f"{100 + number}", at="2025-08-03")
        post(operator.transfer, mine, theirs, amount="40", at="2025-08-31T23:59:59.999999Z")
        post(operator.withdraw, mine, amount="7", at="2025-09-01")
        wrong = post(operator.deposit, mine, amount="5", at="2025-09-10")
        reversed_later.append(post(operator.deposit, mine, amount="3", at="2025-08-20"))
        assert_ok(operator.reverse(wrong["transaction"]))
        post(operator.transfer, mine, theirs, amount="50", at="2025-10-15")
        post(operator.withdraw, mine, amount="1", at="2025-10-16")
    periods = [assert_ok(close(operator, to)) for to in ("2025-08-31", "2025-09-30", "2025-10-31")]
    for wrong in reversed_later:
        assert_ok(operator.reverse(wrong["transaction"]))
    assert_ok(operator.deposit(mine["RUB"], "11", effective_at="2025-11-01"))
    seen = []
    for period in periods:
        assert hashlib.sha256(period["trial_balance"].encode()).hexdigest() == period["digest"]
        seen.append(stored_lines(period))
        assert seen[-1] == shown_lines(reader, period["to"]), f"up to {period['to']}"
    assert seen[0] != seen[1] != seen[2], "expected the periods to differ"
    assert all(("total", "", currency) in seen[2] for currency in CURRENCIES)
    assert all(debit == credit for name, (_, debit, credit) in seen[2].items() if name[0] == "total")
    again = {period["to"]: period for period in assert_ok(operator.http.get("/reports/periods"))}
    assert [again[period["to"]] for period in periods] == periods
