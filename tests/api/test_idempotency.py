"""design.md, "Idempotency": a key in the body, a key in the header, and both at once."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.api import NOBODY, assert_invalid, assert_ok, assert_problem, new_key

CALLS = ("deposit", "withdraw", "transfer")


@pytest.fixture
def account(user):
    return user.account(funds="1000")


@pytest.fixture
def second(user):
    return user.account(funds="1000")


@pytest.fixture
def make_body(account, second):
    """A request body without a key."""
    def make(call, amount="1.50"):
        if call == "transfer":
            return {"from_account_id": account, "to_account_id": second, "amount": amount}
        return {"account_id": account, "amount": amount}
    return make


def keyed(key):
    return {"Idempotency-Key": key}


def transactions(database, key):
    return database.query("SELECT id::text FROM ledger.transaction WHERE idempotency_key = %s",
                          (key,))


# ---- the key in the body ----

@pytest.mark.parametrize("call", CALLS)
def test_body_key_second_use_is_409_with_the_transaction(user, make_body, wallet_database, call):
    key = new_key()
    body = {**make_body(call), "idempotency_key": key}
    assert_ok(user.money(call, body))
    problem = assert_problem(user.money(call, body), 409, "Transaction already processed")
    assert transactions(wallet_database, key) == [(problem["transaction"],)]


@pytest.mark.parametrize(("text", "same"), [
    ('"1.50"', True), ('"1.5"', True), ("1.5", True), ("1.50", True), ('"1.51"', False),
    ("15", False), ('"1"', False)])
def test_body_key_same_request_is_judged_by_value(user, account, text, same):
    """1.50 and 1.5 are one request; the raw bytes do not matter."""
    key = new_key()
    assert_ok(user.deposit(account, "1.5", key=key))
    content = ('{ "idempotency_key" : "%s", "amount":%s ,\n"account_id":"%s" }'
               % (key, text, account.upper()))
    response = user.http.post("/wallet/deposit", content=content.encode(),
                              headers={"Content-Type": "application/json"})
    problem = assert_problem(response, 409, "Transaction already processed")
    assert problem["same_request"] is same, f"for {text} expected same_request {same}"


@pytest.mark.parametrize("change", ["call", "account", "amount"])
def test_body_key_with_any_field_changed_is_not_the_same_request(user, account, second, change):
    key = new_key()
    assert_ok(user.deposit(account, "5", key=key))
    response = {
        "call": lambda: user.withdraw(account, "5", key=key),
        "account": lambda: user.deposit(second, "5", key=key),
        "amount": lambda: user.deposit(account, "6", key=key),
    }[change]()
    assert assert_problem(response, 409)["same_request"] is False


@pytest.mark.parametrize("change", ["from_account_id", "to_account_id", "amount"])
def test_body_key_of_a_transfer_with_any_field_changed(user, account, second, change):
    key, third = new_key(), user.account(funds="1000")
    body = {"from_account_id": account, "to_account_id": second, "amount": "5",
            "idempotency_key": key}
    assert_ok(user.money("transfer", body))
    body[change] = "6" if change == "amount" else third
    assert assert_problem(user.money("transfer", body), 409)["same_request"] is False


def test_409_moves_nothing(user, account):
    key = new_key()
    balance = assert_ok(user.deposit(account, "5", key=key))["new_balance"]
    for amount in ("5", "6"):
        assert_problem(user.deposit(account, amount, key=key), 409)
    assert user.balance(account) == balance


# ---- the key in the header ----

@pytest.mark.parametrize("call", CALLS)
def test_header_key_replays_the_first_answer_byte_by_byte(user, make_body, wallet_database, call):
    key = new_key()
    first = user.money(call, make_body(call), keyed(key))
    assert_ok(first)
    assert "idempotent-replayed" not in first.headers
    # Something else happens in between.
    assert_ok(user.money(call, make_body(call, "7"), keyed(new_key())))
    again = user.money(call, make_body(call), keyed(key))
    assert again.status_code == first.status_code
    assert again.content == first.content, "expected the same bytes"
    assert again.headers.get("idempotent-replayed") == "true"
    assert len(transactions(wallet_database, key)) == 1


def test_header_key_replay_has_the_balance_of_then(user, account):
    key = new_key()
    body = {"account_id": account, "amount": "1"}
    first = user.money("deposit", body, keyed(key))
    assert_ok(user.withdraw(account, "500"))
    assert user.money("deposit", body, keyed(key)).content == first.content


def test_header_key_same_value_in_other_bytes_is_a_replay(user, account):
    key = new_key()
    first = user.money("deposit", {"account_id": account, "amount": "1.50"}, keyed(key))
    for amount in ("1.5", 1.5):
        again = user.money("deposit", {"amount": amount, "account_id": account.upper()}, keyed(key))
        assert again.content == first.content
        assert again.headers.get("idempotent-replayed") == "true"


def test_header_key_with_another_request_is_422(user, account, second):
    key = new_key()
    assert_ok(user.money("deposit", {"account_id": account, "amount": "1"}, keyed(key)))
    for call, body in (("deposit", {"account_id": account, "amount": "2"}),
                       ("deposit", {"account_id": second, "amount": "1"}),
                       ("withdraw", {"account_id": account, "amount": "1"})):
        response = user.money(call, body, keyed(key))
        assert_invalid(response, "Idempotency-Key")
        assert "idempotent-replayed" not in response.headers
    assert (user.balance(account), user.balance(second)) == ("1001.00", "1000.00")


def test_header_key_may_be_a_structured_field_string(user, account, wallet_database):
    key = new_key()
    body = {"account_id": account, "amount": "1"}
    first = user.money("deposit", body, keyed(f'"{key}"'))
    assert_ok(first)
    again = user.money("deposit", body, keyed(key))
    assert again.content == first.content, "expected \"key\" and key to name the same key"
    assert len(transactions(wallet_database, key)) == 1


@pytest.mark.parametrize("value", ["", "short", "k" * 129, "with space 1", "-leading", '"unclosed1',
                                   "schlüssel-1".encode(), "tab\tinside"],
                         ids=["empty", "7_characters", "129_characters", "space", "dash_first",
                              "unclosed", "umlaut", "tab"])
def test_header_key_malformed_is_refused(user, account, value):
    response = user.money("deposit", {"account_id": account, "amount": "1"}, keyed(value))
    assert response.status_code in (400, 422), f"expected 400 or 422: {response.text}"
    assert_problem(response, response.status_code)
    assert user.balance(account) == "1000.00"


# ---- both, neither ----

def test_both_keys_equal_is_one_request_and_the_header_decides_the_form(user, account,
                                                                        wallet_database):
    key = new_key()
    body = {"account_id": account, "amount": "1", "idempotency_key": key}
    first = user.money("deposit", body, keyed(key))
    assert_ok(first)
    again = user.money("deposit", body, keyed(key))
    assert again.content == first.content, "expected the first answer again"
    assert again.headers.get("idempotent-replayed") == "true"
    assert len(transactions(wallet_database, key)) == 1


def test_both_keys_different_is_422(user, account):
    body = {"account_id": account, "amount": "1", "idempotency_key": new_key()}
    assert_problem(user.money("deposit", body, keyed(new_key())), 422)
    assert user.balance(account) == "1000.00"


@pytest.mark.parametrize("call", CALLS)
def test_neither_key_is_422(user, make_body, account, call):
    assert_invalid(user.money(call, make_body(call)), "idempotency_key")
    assert user.balance(account) == "1000.00"


def test_key_of_the_body_is_known_in_the_header(user, account):
    """One space of keys: the same request with its key moved to the header is a replay."""
    key = new_key()
    first = assert_ok(user.deposit(account, "1", key=key))
    again = user.money("deposit", {"account_id": account, "amount": "1"}, keyed(key))
    assert assert_ok(again)["new_balance"] == first["new_balance"]
    assert again.headers.get("idempotent-replayed") == "true"


def test_key_of_the_header_is_known_in_the_body(user, account):
    key = new_key()
    assert_ok(user.money("deposit", {"account_id": account, "amount": "1"}, keyed(key)))
    problem = assert_problem(user.deposit(account, "1", key=key), 409)
    assert problem["same_request"] is True


# ---- whose ----

@pytest.mark.parametrize("form", ["body", "header"])
def test_one_key_by_two_users_makes_two_transactions(user, other, wallet_database, form):
    key = new_key()
    for somebody in (user, other):
        body = {"account_id": somebody.account(), "amount": "3"}
        headers = keyed(key) if form == "header" else None
        if form == "body":
            body["idempotency_key"] = key
        response = somebody.money("deposit", body, headers)
        assert assert_ok(response)["new_balance"] == "3.00"
        assert "idempotent-replayed" not in response.headers
    assert len(transactions(wallet_database, key)) == 2


# ---- failed requests do not use a key up ----

def test_failed_request_leaves_its_key_400(user):
    account, key = user.account(), new_key()
    assert_problem(user.withdraw(account, "5", key=key), 400)
    assert_ok(user.deposit(account, "5"))
    assert_ok(user.withdraw(account, "5", key=key))


def test_failed_request_leaves_its_key_403(user, other):
    theirs, mine, key = other.account(funds="5"), user.account(funds="5"), new_key()
    assert_problem(user.transfer(theirs, mine, "1", key=key), 403)
    assert_ok(user.transfer(mine, theirs, "1", key=key))


def test_failed_request_leaves_its_key_404(user):
    key = new_key()
    assert_problem(user.deposit(NOBODY, "1", key=key), 404)
    assert_ok(user.deposit(user.account(), "1", key=key))


@pytest.mark.parametrize("amount", ["1.005", "-1", "0"])
def test_failed_request_leaves_its_key_422(user, account, amount):
    key = new_key()
    assert_invalid(user.deposit(account, amount, key=key), "amount")
    assert_ok(user.deposit(account, "1", key=key))


def test_failed_request_leaves_its_key_in_the_header(user):
    account, key = user.account(), new_key()
    body = {"account_id": account, "amount": "5"}
    assert_problem(user.money("withdraw", body, keyed(key)), 400, "Insufficient funds")
    assert_ok(user.deposit(account, "5"))
    response = user.money("withdraw", body, keyed(key))
    assert_ok(response)
    assert "idempotent-replayed" not in response.headers


# ---- at once ----

def at_once(count, call):
    """Runs call(n) in `count` threads that start together; the answers in order."""
    gate = threading.Barrier(count)

    def wait_and_call(number):
        gate.wait()
        return call(number)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_call, range(count)))


@pytest.mark.parametrize("form", ["body", "header"])
def test_one_key_from_64_clients_at_once_makes_one_transaction(
        user, account, new_user, wallet_database, form):
    key = new_key()
    clients = [new_user(token=user.token, user_id=user.id) for _ in range(64)]
    body = {"account_id": account, "amount": "1"}
    headers = keyed(key) if form == "header" else None
    if form == "body":
        body["idempotency_key"] = key
    answers = at_once(64, lambda n: clients[n].money("deposit", body, headers))
    assert len(transactions(wallet_database, key)) == 1
    assert user.balance(account) == "1001.00"
    statuses = sorted(answer.status_code for answer in answers)
    if form == "body":
        assert statuses == [200] + [409] * 63, f"expected one 200 and 63 times 409, got {statuses}"
        for answer in answers:
            if answer.status_code == 409:
                assert assert_problem(answer, 409)["same_request"] is True
    else:
        assert statuses == [200] * 64, f"expected 64 times 200, got {statuses}"
        assert len({answer.content for answer in answers}) == 1, "expected the same bytes 64 times"
        fresh = [answer for answer in answers if "idempotent-replayed" not in answer.headers]
        assert len(fresh) == 1, "expected one answer that is no replay"


def test_one_key_with_64_different_requests_at_once_makes_one_transaction(
        user, account, new_user, wallet_database):
    key = new_key()
    clients = [new_user(token=user.token, user_id=user.id) for _ in range(64)]
    answers = at_once(64, lambda n: clients[n].deposit(account, str(n + 1), key=key))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] + [409] * 63, f"expected one 200 and 63 times 409, got {statuses}"
    winner = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    assert user.balance(account) == f"{1000 + winner + 1}.00"
    for answer in answers:
        if answer.status_code == 409:
            assert assert_problem(answer, 409)["same_request"] is False


def test_64_keys_at_once_make_64_transactions(user, account, new_user):
    clients = [new_user(token=user.token, user_id=user.id) for _ in range(64)]
    answers = at_once(64, lambda n: clients[n].deposit(account, "1"))
    assert {answer.status_code for answer in answers} == {200}
    balances = sorted(float(answer.json()["new_balance"]) for answer in answers)
    assert balances == [1000 + n for n in range(1, 65)], "expected every balance in between once"
