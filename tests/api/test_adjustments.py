"""What operators post by hand: proposed by one, approved by another; breaks that are resolved so."""

import datetime
import threading
import time

import psycopg
import pytest

from support.api import NOBODY, assert_invalid, assert_ok, assert_problem, new_key
from support.books import run_tool
from support.load import together

TODAY = datetime.datetime.now(datetime.timezone.utc).date()
SETTLEMENT, FEES = "assets:settlement:RUB", "expenses:bank:RUB"


@pytest.fixture(scope="module")
def database(databases):
    database = databases.copy("wallet")
    for currency in ("RUB", "EUR"):
        database.execute("""WITH a AS (INSERT INTO ledger.account (ledger_id, id, asset, class, code)
                VALUES (1, gen_random_uuid(), %s, 'expense', %s) RETURNING ledger_id, id)
            INSERT INTO ledger.balance (ledger_id, account_id) SELECT ledger_id, id FROM a""",
                         (currency, f"expenses:bank:{currency}"))
    return database


@pytest.fixture(scope="module")
def anna(make):
    return make("operator")


@pytest.fixture(scope="module")
def boris(make):
    return make("operator")


def propose(operator, headers=None, **change):
    body = {"debit": FEES, "credit": SETTLEMENT, "amount": "12.50", "reason": "fee of the bank"}
    if headers is None:
        body["idempotency_key"] = new_key()
    body = {name: value for name, value in (body | change).items() if value is not ...}
    return operator.http.post("/reports/adjustments", json=body, headers=headers)


def proposed(operator, **change):
    answer = assert_ok(propose(operator, **change))
    assert answer == {"status": "proposed", "adjustment": answer["adjustment"]}
    return answer["adjustment"]


def decide(operator, adjustment, action="approve", reason="seen"):
    return operator.http.post(f"/reports/adjustments/{adjustment}/{action}", json={"reason": reason})


def listed(reader, adjustment):
    return next(one for one in assert_ok(reader.http.get("/reports/adjustments"))
                if one["id"] == adjustment)


def balance(reader, code):
    lines = [line for line in reader.report("trial-balance", depth=0)["lines"] if line["code"] == code]
    return lines[0]["balance"] if lines else "0.00"


def kind_of(problem):
    return problem["type"].rpartition(":")[2]


# ---- a journal entry ----

def test_one_proposes_another_approves(anna, boris, reader):
    before = balance(reader, FEES), balance(reader, SETTLEMENT)
    adjustment = proposed(anna)
    assert (balance(reader, FEES), balance(reader, SETTLEMENT)) == before
    shown = listed(reader, adjustment)
    assert (shown["state"], shown["transaction"], shown["decided_by"]) == ("proposed", None, None)
    assert kind_of(assert_problem(decide(anna, adjustment), 403)) == "own_proposal"
    answer = decide(boris, adjustment)
    assert assert_ok(answer) == {"status": "approved", "adjustment": adjustment,
                                 "transaction": adjustment}
    assert decide(boris, adjustment).content == answer.content, "expected the same answer again"
    after = balance(reader, FEES), balance(reader, SETTLEMENT)
    assert [round(float(now) - float(then), 2) for now, then in zip(after, before)] == [12.5, -12.5]
    shown = listed(reader, adjustment)
    assert (shown["state"], shown["amount"], shown["currency"]) == ("approved", "12.50", "RUB")
    assert (shown["debit"], shown["credit"], shown["reason"]) == (FEES, SETTLEMENT, "fee of the bank")
    assert (shown["proposed_by"], shown["decided_by"]) == (anna.id, boris.id)
    lines = [line for line in reader.report("journal", limit=1000)["lines"]
             if line["transaction_id"] == adjustment]
    assert [(line["kind"], line["code"], line["debit"], line["credit"], line["description"])
            for line in sorted(lines, key=lambda line: line["code"], reverse=True)] == [
        ("adjustment", FEES, "12.50", None, "fee of the bank"),
        ("adjustment", SETTLEMENT, None, "12.50", "fee of the bank")]
    for colleague, action in ((anna, "reject"), (boris, "reject")):
        assert kind_of(assert_problem(decide(colleague, adjustment, action), 409)) == "adjustment_decided"


def test_what_is_rejected_is_never_posted(anna, boris, reader):
    before = balance(reader, FEES)
    first, second = proposed(anna), proposed(anna)
    answer = assert_ok(decide(boris, first, "reject", "not ours"))
    assert answer == {"status": "rejected", "adjustment": first, "transaction": None}
    assert_ok(decide(anna, second, "reject", "a mistake"))  # one's own may be taken back
    for adjustment in (first, second):
        assert kind_of(assert_problem(decide(boris, adjustment), 409)) == "adjustment_decided"
    assert listed(reader, first)["decided_because"] == "not ours"
    assert balance(reader, FEES) == before


def test_a_key_is_used_once(anna, boris):
    key = new_key()
    adjustment = proposed(anna, idempotency_key=key)
    again = assert_problem(propose(anna, idempotency_key=key, amount=12.5), 409)
    assert (kind_of(again), again["same_request"], again["transaction"]) == ("duplicate", True, adjustment)
    for change in ({"amount": "12.51"}, {"debit": "nowhere"}, {"amount": "0.001"}, {"reason": "x"},
                   {"effective_at": "2026-01-01"}):
        changed = assert_problem(propose(anna, idempotency_key=key, **change), 409)
        assert (kind_of(changed), changed["same_request"]) == ("duplicate_changed", False)
    assert proposed(boris, idempotency_key=key) != adjustment, "expected the key to be anna's"
    header = {"Idempotency-Key": new_key()}
    first, again = propose(anna, headers=header), propose(anna, headers=header)
    assert_ok(first)
    assert again.content == first.content and again.headers["idempotent-replayed"] == "true"


def test_an_effective_time(anna, boris, reader):
    before = reader.report("trial-balance", as_of="2026-03-31", time="effective", depth=0)["lines"]
    adjustment = proposed(anna, effective_at="2026-03-31T12:00:00Z", amount="3")
    assert_ok(decide(boris, adjustment))
    after = reader.report("trial-balance", as_of="2026-03-31", time="effective", depth=0)["lines"]
    assert before != after
    assert listed(reader, adjustment)["effective_at"] == "2026-03-31T12:00:00.000000Z"
    late = proposed(anna, effective_at="2026-04-15")
    closing = {"to": "2026-04-30", "reason": "end of the month"}
    assert_ok(anna.http.post("/reports/periods/close", json=closing))
    assert kind_of(assert_problem(propose(anna, effective_at="2026-04-30"), 422)) == "period_locked"
    assert kind_of(assert_problem(decide(boris, late), 422)) == "period_locked"
    assert listed(reader, late)["state"] == "proposed"


def test_accounts_of_customers_keep_their_rules(anna, boris, make):
    user = make("user")
    account = user.account(funds="10")
    code = f"liabilities:wallets:{account}"
    taken = proposed(anna, debit=code, credit=SETTLEMENT, amount="10.01")
    assert_problem(decide(boris, taken), 400, "Insufficient funds")
    assert_ok(user.deposit(account, "0.01"))
    assert_ok(anna.control(account, "freeze"))
    assert kind_of(assert_problem(decide(boris, taken), 422)) == "account_frozen"
    given = proposed(anna, debit=FEES, credit=account, amount="1")  # by its id; a frozen one may get
    assert_ok(decide(boris, given))
    assert_ok(anna.control(account, "unfreeze"))
    assert_ok(decide(boris, taken))
    assert user.balance(account) == "1.00"
    assert [row["type"] for row in user.rows(account)][-2:] == ["ADJUSTMENT", "ADJUSTMENT"]


@pytest.mark.parametrize("field, change", [
    ("debit", {"debit": ...}), ("debit", {"debit": ""}), ("debit", {"debit": 7}),
    ("credit", {"credit": "x" * 256}), ("amount", {"amount": ...}), ("amount", {"amount": "0"}),
    ("amount", {"amount": "-1"}), ("amount", {"amount": "1e2"}), ("amount", {"amount": True}),
    ("reason", {"reason": ...}), ("reason", {"reason": "x" * 257}),
    ("effective_at", {"effective_at": "tomorrow"}), ("effective_at", {"effective_at": "9000-01-01"}),
    ("idempotency_key", {"idempotency_key": ...}), ("idempotency_key", {"idempotency_key": "short"}),
    ("approved_by", {"approved_by": "anna"})])
def test_fields_that_are_wrong(anna, field, change):
    assert_invalid(propose(anna, **change), field)


@pytest.mark.parametrize("status, kind, change", [
    (404, "account_not_found", {"debit": "expenses:nowhere"}),
    (404, "account_not_found", {"credit": NOBODY}),
    (422, "same_account", {"credit": FEES}),
    (422, "asset_mismatch", {"credit": "assets:settlement:EUR"}),
    (422, "amount_too_precise", {"amount": "0.001"}),
    (422, "amount_too_large", {"amount": "9" * 38})])
def test_entries_that_cannot_be(anna, status, kind, change):
    assert kind_of(assert_problem(propose(anna, **change), status)) == kind


def test_decisions_that_are_wrong(anna):
    adjustment = proposed(anna)
    assert_invalid(decide(anna, "nothing"), "id")
    assert_problem(decide(anna, NOBODY), 404)
    for action in ("approve", "reject"):
        assert_invalid(decide(anna, adjustment, action, ""), "reason")


def test_the_audit_trail_has_all_of_it(anna, boris, reader):
    adjustment = proposed(anna)
    assert_problem(decide(anna, adjustment), 403)
    assert_ok(decide(boris, adjustment))
    events = assert_ok(reader.http.get("/audit", params={"subject": adjustment}))
    assert [(event["event"], event["outcome"], event["actor"], event["detail"]["outcome"])
            for event in events] == [
        ("adjustment_approved", "success", boris.id, "done"),
        ("adjustment_approved", "failure", anna.id, "own_proposal"),
        ("adjustment_proposed", "success", anna.id, "done")]


# ---- breaks ----

@pytest.fixture(scope="module")
def breaks(database, make, reader, tmp_path_factory):
    """{amount: id} of a statement's breaks, in EUR."""
    user = make("user")
    account, key = user.account(currency="EUR"), new_key()
    assert_ok(user.deposit(account, "50.00", key=key))
    lines = [f":61:{TODAY:%y%m%d}C49,90NTRFNONREF//B1", f":86:/EREF/{key}/",
             f":61:{TODAY:%y%m%d}D1,20NTRFNONREF//B2", f":61:{TODAY:%y%m%d}C1,20NTRFNONREF//B3",
             f":61:{TODAY:%y%m%d}C7,00NTRFNONREF//B4"]
    text = [":20:BANK", ":25:4711", ":28C:1", f":60F:C{TODAY:%y%m%d}EUR0,00", *lines,
            f":62F:C{TODAY:%y%m%d}EUR56,90"]
    path = tmp_path_factory.mktemp("bank") / "statement.sta"
    path.write_text("\r\n".join(text) + "\r\n")
    done = run_tool(database, "import-statement", str(path))
    assert done.returncode == 0, done.stderr
    return {line["amount"]: line["id"]
            for line in reader.report("breaks", currency="EUR")["lines"]}


def resolve(operator, ids, against=None, key=None, **more):
    body = {"breaks": ids, "reason": "fee of the bank", "idempotency_key": key or new_key(), **more}
    return operator.http.post("/reports/breaks/resolve",
                              json=body | ({"against": against} if against else {}))


def open_breaks(reader):
    return {line["amount"] for line in reader.report("breaks", currency="EUR")["lines"]}


def test_what_is_no_resolution(anna, breaks):
    fee = [breaks["49.90"], breaks["50.00"]]
    for ids in ([], [0], [1.5], ["1"], None, [10 ** 18], list(range(1, 102)), [-1]):
        assert_invalid(resolve(anna, ids), "breaks")
    assert_invalid(resolve(anna, fee, against="x" * 256), "against")
    for ids, against, status, kind in (
            (fee, None, 422, "difference_to_post"), (fee, "expenses:nowhere", 404, "account_not_found"),
            (fee, "assets:settlement:EUR", 422, "same_account"), (fee, FEES, 422, "asset_mismatch"),
            ([breaks["1.20"], breaks["-1.20"]], "expenses:bank:EUR", 422, "nothing_to_post"),
            ([999999999], FEES, 409, "breaks_not_open"),
            ([fee[0], fee[0]], "expenses:bank:EUR", 409, "breaks_not_open")):
        assert kind_of(assert_problem(resolve(anna, ids, against), status)) == kind


def test_a_break_is_resolved_by_a_new_entry(anna, boris, reader, breaks, database):
    key, ids = new_key(), [breaks["49.90"], breaks["50.00"]]
    adjustment = assert_ok(resolve(anna, ids, "expenses:bank:EUR", key))["adjustment"]
    same = assert_problem(resolve(anna, ids, "expenses:bank:EUR", key), 409)
    assert (same["same_request"], same["transaction"]) == (True, adjustment)
    assert {"49.90", "50.00"} <= open_breaks(reader), "a proposal resolves nothing"
    assert kind_of(assert_problem(decide(anna, adjustment), 403)) == "own_proposal"
    rival = assert_ok(resolve(boris, ids, "expenses:bank:EUR"))["adjustment"]
    assert assert_ok(decide(boris, adjustment))["transaction"] == adjustment
    assert not {"49.90", "50.00"} & open_breaks(reader)
    assert kind_of(assert_problem(decide(anna, rival), 409)) == "breaks_not_open"
    shown = listed(reader, adjustment)
    assert (shown["debit"], shown["credit"], shown["amount"], shown["breaks"]) == (
        "expenses:bank:EUR", "assets:settlement:EUR", "0.10", ids)
    assert balance(reader, "expenses:bank:EUR") == "0.10"
    events = database.query("""SELECT DISTINCT made_by, approved_by, transaction_id::text, reason
        FROM ledger.statement_break_event WHERE status = 'resolved' AND break_id = ANY (%s)""", (ids,))
    assert events == [(anna.id, boris.id, adjustment, "fee of the bank")]


def test_lines_that_undo_each_other_are_a_match(anna, boris, reader, breaks):
    ids = [breaks["1.20"], breaks["-1.20"]]
    adjustment = assert_ok(resolve(anna, ids))["adjustment"]
    assert assert_ok(decide(boris, adjustment)) == {
        "status": "approved", "adjustment": adjustment, "transaction": None}
    assert open_breaks(reader) == {"7.00"}
    shown = listed(reader, adjustment)
    assert (shown["amount"], shown["debit"], shown["transaction"]) == (None, None, None)


# ---- races ----

def test_of_many_decisions_at_once_one_is_taken(anna, make, reader):
    before = balance(reader, FEES)
    adjustment = proposed(anna, amount="1")
    colleagues = [make("operator") for _ in range(8)]
    answers = together(8, lambda number: decide(colleagues[number], adjustment,
                                                "approve" if number % 2 else "reject"))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    posted = listed(reader, adjustment)["state"] == "approved"
    assert float(balance(reader, FEES)) - float(before) == pytest.approx(1 if posted else 0)


@pytest.mark.parametrize("status, amount", [("frozen", -1), ("closed", 1)])
def test_a_status_of_this_moment_is_not_missed(make, database, status, amount):
    """post_adjustment waits for the account's lock, and looks at its status behind it."""
    account = make("user").account()
    settlement = database.query("SELECT id FROM ledger.account WHERE code = %s", (SETTLEMENT,))[0][0]
    with database.connect() as connection:
        connection.autocommit = False
        connection.execute("SELECT ledger.set_account_status(1, %s, %s, %s, 'x', '{}')",
                           (account, status, NOBODY))
        raised = []

        def adjust():
            try:
                database.query("SELECT ledger.post_adjustment(1, gen_random_uuid(), %s, %s, %s, %s,"
                               " 'd', '{}')", (new_key(), settlement,
                                               f"liabilities:wallets:{account}", amount))
            except psycopg.Error as error:
                raised.append(error.sqlstate)

        thread = threading.Thread(target=adjust)
        thread.start()
        time.sleep(0.3)
        assert thread.is_alive(), "expected the adjustment to wait for the account"
        connection.commit()
        thread.join()
    assert raised == ["PC034"]
