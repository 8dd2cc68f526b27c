"""Closed periods, on a database of their own: a closed ledger stays closed."""

import datetime
import hashlib
import threading
import time
import uuid

import psycopg
import pytest

from support.api import assert_invalid, assert_ok, assert_problem
from support.load import Load, money_body


@pytest.fixture(scope="module")
def operator(make):
    return make("operator")


@pytest.fixture(scope="module")
def user(make):
    return make("user")


def close(operator, to, reason="end of the month", **more):
    return operator.http.post("/reports/periods/close", json={"to": to, "reason": reason, **more})


def ago(**delta):
    moment = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**delta)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def kind_of(problem):
    return problem["type"].rpartition(":")[2]


POST_AT = """
    WITH pair AS (SELECT b.account_id, b.posted, b.entries, v.amount
                    FROM ledger.balance b JOIN (VALUES (%(own)s::uuid, -1), (%(other)s::uuid, 1)) v (id, amount)
                      ON b.account_id = v.id ORDER BY 1 FOR UPDATE OF b),
         t AS (INSERT INTO ledger.transaction
                 (ledger_id, id, kind, principal, idempotency_key, request_digest, effective_at)
               VALUES (1, %(id)s, 'transfer', %(id)s, %(id)s::text, sha256('x'), %(at)s)),
         e AS (INSERT INTO ledger.entry (ledger_id, account_id, seq, transaction_id, amount, balance_after)
               SELECT 1, account_id, entries + 1, %(id)s, amount, posted + amount FROM pair)
    UPDATE ledger.balance b SET posted = pair.posted + pair.amount, entries = pair.entries + 1
      FROM pair WHERE b.account_id = pair.account_id"""


def post_at(connection, own, other, moment):
    """A posting of long ago; no call of the API makes one for an ordinary user."""
    connection.execute(POST_AT, {"own": own, "other": other, "at": moment, "id": uuid.uuid4()})


def test_requests_that_are_wrong(operator, make):
    for to in (None, "", 7, "yesterday", "2026-13-01", "2026-02-30", "infinity", "2026-01-01T00:00",
               "2026-01-01\0"):
        assert_invalid(close(operator, to), "to")
    assert_invalid(close(operator, "2026-01-01", reason=""), "reason")
    assert_invalid(close(operator, "2026-01-01", force=True), "force")
    for to in (ago(seconds=-60), ago(seconds=30), ago(days=0)):
        assert kind_of(assert_problem(close(operator, to), 422)) == "period_not_over"
    for roles in (["user"], ["auditor"], ["admin"]):
        assert kind_of(assert_problem(close(make(*roles), "2020-01-31"), 403)) == "insufficient_role"
    assert assert_ok(operator.http.get("/reports/periods")) == []


def test_what_is_closed_takes_no_posting_and_keeps_its_report(operator, user, make, database):
    own, other = user.account(funds="100"), user.account(funds="100")
    with database.connect() as connection:
        post_at(connection, own, other, "2026-01-15T00:00:00Z")
    period = assert_ok(close(operator, "2026-01-31"))
    assert (period["from"], period["to"]) == (None, "2026-02-01T00:00:00.000000Z")
    assert (period["closed_by"], period["reason"]) == (operator.id, "end of the month")
    assert period["digest"] == hashlib.sha256(period["trial_balance"].encode()).hexdigest()
    assert period["trial_balance"].splitlines() == [
        "class,code,currency,accounts,debit,credit",
        "liability,liabilities:wallets,RUB,2,1,1", "total,,RUB,2,1,1"]
    with database.connect() as connection, pytest.raises(psycopg.Error) as refused:
        post_at(connection, own, other, "2026-01-31T23:59:59Z")
    assert refused.value.sqlstate == "PC030"
    assert_ok(user.withdraw(own, "1"))
    assert assert_ok(close(operator, "2026-01-31")) == period, "closed once more it is the same"
    assert kind_of(assert_problem(close(operator, "2026-01-30"), 422)) == "period_locked"
    later = assert_ok(close(operator, "2026-03-01T02:00:00+02:00"))
    assert (later["from"], later["to"]) == (period["to"], "2026-03-01T00:00:00.000000Z")
    for reader in (operator, make("auditor")):
        assert assert_ok(reader.http.get("/reports/periods")) == [later, period]


def test_a_posting_on_its_way_is_waited_for(operator, user, database):
    """It was there before the period was closed, so the report has it."""
    own, other = user.account(funds="100"), user.account(funds="100")
    answers = []
    with database.connect() as connection:
        connection.autocommit = False
        post_at(connection, own, other, "2026-03-15T00:00:00Z")
        closing = threading.Thread(target=lambda: answers.append(close(operator, "2026-03-31")))
        closing.start()
        time.sleep(0.5)
        assert not answers, "expected the closing to wait"
        connection.commit()
        closing.join()
    lines = assert_ok(answers[0])["trial_balance"].splitlines()
    assert lines[1:] == ["liability,liabilities:wallets,RUB,4,2,2", "total,,RUB,4,2,2"]


def test_a_posting_that_hangs_does_not_hold_up_others_for_long(operator, user, database):
    own, other = user.account(funds="100"), user.account(funds="100")
    with database.connect() as connection:
        connection.autocommit = False
        post_at(connection, own, other, "2026-04-15T00:00:00Z")
        assert close(operator, "2026-04-30").status_code == 503
        connection.rollback()
    assert_ok(close(operator, "2026-04-30"))


def test_postings_of_the_service_go_on_while_periods_are_closed(operator, user, service):
    account = user.account(funds="100")
    load = Load([service.port], [user.token] * 16,
                lambda number: ("/wallet/deposit", money_body(account, "1"))).start()
    for day in range(1, 21):
        assert_ok(close(operator, f"2026-05-{day:02}"))
    assert_ok(close(operator, ago(seconds=61)))
    calls = load.stop()
    assert {call.status for call in calls} == {200}, "expected no posting to be refused"


def test_with_another_view_of_the_database_nothing_is_posted(user, database):
    own, other = user.account(funds="100"), user.account(funds="100")
    with database.connect() as connection, pytest.raises(psycopg.Error) as refused:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.autocommit = False
        post_at(connection, own, other, "2099-01-01T00:00:00Z")
    assert refused.value.sqlstate == "PC031"
