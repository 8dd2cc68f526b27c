"""What the database refuses for reasons of the moment is 503 also outside of posting: nothing is wrong with the
request, or with the service. (Posting tries again first: tests/fault/test_retry.py.)"""

import contextlib

import pytest

from support.api import assert_ok, assert_problem

PASSING = ["25006", "40P01", "53100", "57P01", "58030"]
REFUSE = """
    CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE 'refused for the test' USING ERRCODE = '{code}'; END $$;
    CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ledger.account
        FOR EACH ROW EXECUTE FUNCTION public.refuse()"""


@contextlib.contextmanager
def refusing(database, code):
    database.execute(REFUSE.format(code=code))
    try:
        yield
    finally:
        database.execute("DROP FUNCTION public.refuse() CASCADE")


@pytest.fixture(params=["open", "freeze"])
def call(request, make):
    """(a call, the status of its success)"""
    user = make("user")
    if request.param == "open":
        return user.open, 201
    operator, account = make("operator"), user.account()
    return lambda: operator.http.post(f"/wallet/accounts/{account}/freeze", json={"reason": "a test"}), 200


def assert_refused(call, status):
    answer = call()
    body = assert_problem(answer, status)
    assert "refused for the test" not in str(body), "expected nothing of the database in the answer"
    return answer


@pytest.mark.parametrize("code", PASSING)
def test_what_lies_in_the_moment_is_503(database, call, code):
    with refusing(database, code):
        assert int(assert_refused(call[0], 503).headers["retry-after"]) >= 1
    assert_ok(call[0](), call[1])


def test_what_is_final_is_500(database, call):
    with refusing(database, "42501"):
        assert_refused(call[0], 500)
    assert_ok(call[0](), call[1])
