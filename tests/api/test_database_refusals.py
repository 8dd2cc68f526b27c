"""What the database refuses for reasons of the moment is 503 also outside of posting: nothing is wrong with the
request, or with the service. (Posting tries again first: tests/fault/test_retry.py.) The log names the reason."""

import contextlib
from collections import namedtuple

import pytest

from support.api import assert_ok, assert_problem, new_name

PASSING = ["25006", "40P01", "53100", "57P01", "58030", "08006"]
FINAL = ["42501", "08P01"]
RAISE = "BEGIN RAISE 'refused for the test' USING ERRCODE = '{code}'; END"
# Refused when one of its rows is written, or read.
WRITTEN = """
    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$;
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION public.refuse()"""
READ = """
    CREATE FUNCTION public.refuse() RETURNS boolean LANGUAGE plpgsql AS $$ {body} $$;
    ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY refuse ON {table} USING (public.refuse())"""
UNDO = """
    DROP FUNCTION public.refuse() CASCADE;
    ALTER TABLE {table} DISABLE ROW LEVEL SECURITY"""

Call = namedtuple("Call", "send, success, database, refusal, table, service")


@contextlib.contextmanager
def refusing(call, code):
    call.database.execute(call.refusal.format(table=call.table, body=RAISE.format(code=code)))
    try:
        yield
    finally:
        call.database.execute(UNDO.format(table=call.table))


@pytest.fixture(params=["open", "freeze", "report", "audit", "register"])
def call(request, make, reader, database, service, auth, auth_service, auth_database):
    if request.param == "register":
        return Call(lambda: auth.register(new_name(), "correct horse"), 200, auth_database, WRITTEN, "auth.users",
                    auth_service)
    if request.param == "open":
        return Call(make("user").open, 201, database, WRITTEN, "ledger.account", service)
    account = make("user").account()
    operator = make("operator")

    def freeze():
        return operator.http.post(f"/wallet/accounts/{account}/freeze", json={"reason": "a test"})
    if request.param == "freeze":
        return Call(freeze, 200, database, WRITTEN, "ledger.account", service)
    if request.param == "report":
        return Call(lambda: reader.get("accounts"), 200, database, READ, "ledger.account", service)
    freeze()  # there is something in the trail
    return Call(lambda: reader.http.get("/audit"), 200, database, READ, "ledger.audit", service)


def assert_refused(call, status):
    log = call.service.log_path
    before = log.stat().st_size
    answer = call.send()
    body = assert_problem(answer, status)
    assert "refused for the test" not in str(body), "expected nothing of the database in the answer"
    told = log.read_bytes()[before:].decode(errors="replace")
    assert "refused for the test" in told, "expected the log to say what the database said"
    return answer


@pytest.mark.parametrize("code", PASSING)
def test_what_lies_in_the_moment_is_503(call, code):
    with refusing(call, code):
        assert int(assert_refused(call, 503).headers["retry-after"]) >= 1
    assert_ok(call.send(), call.success)


@pytest.mark.parametrize("code", FINAL)
def test_what_is_final_is_500(call, code):
    with refusing(call, code):
        assert_refused(call, 500)
    assert_ok(call.send(), call.success)
