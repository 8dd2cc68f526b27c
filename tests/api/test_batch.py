"""POST /wallet/batch: up to 1,000 operations in one request, each with its own key and outcome, or
all-or-nothing with "atomic": true."""

import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.api import (NOBODY, assert_invalid, assert_ok, assert_problem, new_key)
from support.journal import transactions_of
from support.waiting import wait_until


def deposit(account, amount="1", key=None):
    return {"type": "deposit", "account_id": account, "amount": amount,
            "idempotency_key": key or new_key()}


def withdraw(account, amount="1", key=None):
    return {**deposit(account, amount, key), "type": "withdraw"}


def transfer(source, destination, amount="1", key=None):
    return {"type": "transfer", "from_account_id": source, "to_account_id": destination,
            "amount": amount, "idempotency_key": key or new_key()}


def post(user, operations, **more):
    return user.http.post("/wallet/batch", json={"operations": operations, **more})


def results(response, status=200):
    """The results of an answer, one per operation, with their index."""
    body = assert_ok(response) if status == 200 else assert_problem(response, status)
    for number, result in enumerate(body["results"]):
        assert result["index"] == number, f"expected the results in the order sent: {body}"
    accepted = sum(1 for result in body["results"] if result["status"] == 200)
    assert body["accepted"] == accepted
    assert body["refused"] == len(body["results"]) - accepted
    return body["results"]


def statuses(response, status=200):
    return [result["status"] for result in results(response, status)]


@pytest.fixture
def account(user):
    return user.account(funds="100")


@pytest.fixture
def second(user):
    return user.account()


# ---- one by one ----

def test_batch_runs_operations_in_order(user, account, second):
    told = results(post(user, [deposit(account, "5"), withdraw(account, "100"),
                               transfer(account, second, "2.5"), deposit(second, "0.01")]))
    assert [result["status"] for result in told] == [200] * 4
    assert [result["new_balance"] for result in told] == ["105.00", "5.00", "2.50", "2.51"]
    assert len({uuid.UUID(result["transaction"]) for result in told}) == 4
    assert (user.balance(account), user.balance(second)) == ("2.50", "2.51")


def test_batch_later_operations_see_earlier_ones(user, second):
    """The second can only succeed after the first."""
    assert statuses(post(user, [deposit(second, "3"), withdraw(second, "3")])) == [200, 200]
    assert statuses(post(user, [withdraw(second, "3"), deposit(second, "3")])) == [400, 200]


def test_batch_refused_operation_hides_nothing_of_its_neighbours(user, other, account, second):
    theirs = other.account(funds="9")
    operations = [
        deposit(account, "1"),
        withdraw(account, "1000"),  # insufficient funds
        deposit(NOBODY, "1"),  # no such account
        transfer(theirs, account, "1"),  # someone else's
        transfer(account, account, "1"),  # one account
        deposit(account, "1.005"),  # too precise
        {**deposit(account), "amount": "x"},  # wrong by its form
        {**deposit(account), "ammount": "5"},  # misspelt
        {**deposit(account), "type": "steal"},  # no such operation
        transfer(account, second, "4"),
    ]
    told = results(post(user, operations))
    assert [result["status"] for result in told] == [200, 400, 404, 403, 422, 422, 422, 422, 422,
                                                     200]
    assert told[1]["detail"] == "Insufficient funds"
    assert told[2]["detail"] == "Account not found"
    for number, field in ((4, "to_account_id"), (5, "amount"), (6, "amount"), (7, "ammount"),
                          (8, "type")):
        fields = [error["field"] for error in told[number]["errors"]]
        assert f"operations[{number}].{field}" in fields, f"expected {field} named in {fields}"
    assert told[9]["new_balance"] == "97.00"
    assert (user.balance(account), user.balance(second), other.balance(theirs)) == (
        "97.00", "4.00", "9.00")


@pytest.mark.parametrize("member", ["type", "account_id", "amount", "idempotency_key"])
def test_batch_operation_without_a_member(user, account, member):
    operation = deposit(account)
    del operation[member]
    told = results(post(user, [operation, deposit(account)]))
    assert [result["status"] for result in told] == [422, 200]
    assert f"operations[0].{member}" in [error["field"] for error in told[0]["errors"]]


@pytest.mark.parametrize("operation", [None, 1, "deposit", [], True])
def test_batch_operation_that_is_no_object(user, account, operation):
    assert statuses(post(user, [operation, deposit(account)])) == [422, 200]


def test_batch_of_refused_operations_alone_is_200_with_their_outcomes(user, account):
    assert statuses(post(user, [withdraw(account, "101"), deposit(NOBODY)])) == [400, 404]


# ---- keys ----

def test_batch_sent_again_tells_of_duplicates(user, account):
    operations = [deposit(account, "1"), deposit(account, "2")]
    first = results(post(user, operations))
    again = results(post(user, operations))
    for before, now in zip(first, again):
        assert now["status"] == 409
        assert now["detail"] == "Transaction already processed"
        assert now["transaction"] == before["transaction"]
        assert now["same_request"] is True
    assert user.balance(account) == "103.00"


def test_batch_same_key_twice_within(user, account, wallet_database):
    key = new_key()
    told = results(post(user, [deposit(account, "1", key), deposit(account, "1", key),
                               deposit(account, "2", key)]))
    assert [result["status"] for result in told] == [200, 409, 409]
    assert [told[1]["same_request"], told[2]["same_request"]] == [True, False]
    assert told[1]["transaction"] == told[0]["transaction"]
    assert transactions_of(wallet_database, [key]) == {key: 1}


def test_batch_and_single_calls_share_their_keys(user, account):
    key = new_key()
    assert statuses(post(user, [deposit(account, "1", key)])) == [200]
    assert assert_problem(user.deposit(account, "1", key=key), 409)["same_request"] is True
    key = new_key()
    assert_ok(user.deposit(account, "1", key=key))
    assert statuses(post(user, [deposit(account, "1", key), deposit(account)])) == [409, 200]


def test_batch_refused_operation_leaves_its_key(user, second):
    operation = withdraw(second, "1")
    assert statuses(post(user, [operation])) == [400]
    assert statuses(post(user, [deposit(second, "1"), operation])) == [200, 200]


def test_batch_takes_no_key_of_its_own(user, account):
    response = user.http.post("/wallet/batch", json={"operations": [deposit(account)]},
                              headers={"Idempotency-Key": new_key()})
    assert_invalid(response, "Idempotency-Key")
    assert user.balance(account) == "100.00"


# ---- all or nothing ----

def test_atomic_batch_is_posted_whole(user, account, second):
    told = results(post(user, [transfer(account, second, "60"), transfer(account, second, "40"),
                               withdraw(second, "100")], atomic=True))
    assert [result["new_balance"] for result in told] == ["40.00", "0.00", "0.00"]


@pytest.mark.parametrize("bad", ["insufficient", "not_found", "not_mine", "invalid"])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_atomic_batch_with_one_refused_posts_nothing(user, other, account, bad, place,
                                                     wallet_database):
    theirs = other.account(funds="5")
    operations = [deposit(account, "1"), withdraw(account, "1")]
    operations.insert(place, {
        "insufficient": withdraw(account, "5000"), "not_found": deposit(NOBODY),
        "not_mine": transfer(theirs, account), "invalid": deposit(account, "-1"),
    }[bad])
    told = results(post(user, operations, atomic=True), 422)
    expected = {"insufficient": 400, "not_found": 404, "not_mine": 403, "invalid": 422}[bad]
    assert told[place]["status"] == expected
    for number, result in enumerate(told):
        if number != place:
            assert result["status"] == 422, f"expected the neighbours to be refused: {told}"
    assert (user.balance(account), other.balance(theirs)) == ("100.00", "5.00")
    keys = [operation["idempotency_key"] for operation in operations]
    assert not transactions_of(wallet_database, keys), "expected nothing in the journal"


def test_atomic_batch_that_was_refused_leaves_its_keys(user, account):
    operations = [deposit(account, "1"), withdraw(account, "150")]
    results(post(user, operations, atomic=True), 422)
    assert_ok(user.deposit(account, "100"))
    assert statuses(post(user, operations, atomic=True)) == [200, 200]
    assert user.balance(account) == "51.00"


def test_atomic_batch_sent_again_is_409(user, account):
    operations = [deposit(account, "1"), deposit(account, "2")]
    first = results(post(user, operations, atomic=True))
    again = results(post(user, operations, atomic=True), 409)
    assert [result["transaction"] for result in again] == (
        [result["transaction"] for result in first])
    assert user.balance(account) == "103.00"


def test_atomic_batch_with_a_key_of_another_request_posts_nothing(user, account):
    key = new_key()
    assert_ok(user.deposit(account, "1", key=key))
    told = results(post(user, [deposit(account, "5"), deposit(account, "2", key)], atomic=True),
                   422)
    assert [result["status"] for result in told] == [422, 409]
    assert told[1]["same_request"] is False
    assert user.balance(account) == "101.00"


def test_atomic_batch_counts_what_the_same_request_posted_before(user, account):
    key = new_key()
    assert_ok(user.deposit(account, "1", key=key))
    told = results(post(user, [deposit(account, "5"), deposit(account, "1", key)], atomic=True))
    assert [result["status"] for result in told] == [200, 409]
    assert told[1]["same_request"] is True
    assert user.balance(account) == "106.00", "expected the first once and the second no more"


def test_atomic_batch_from_16_clients_at_once_is_posted_once(user, account, new_user):
    operations = [deposit(account, "1") for _ in range(20)]
    clients = [new_user(token=user.token, user_id=user.id) for _ in range(16)]
    gate = threading.Barrier(16)

    def send(client):
        gate.wait()
        return post(client, operations, atomic=True)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, clients))
    counts = Counter(answer.status_code for answer in answers)
    assert counts == {200: 1, 409: 15}, f"expected one to be posted: {counts}"
    assert user.balance(account) == "120.00"


# ---- limits and form ----

def test_batch_of_1000(user, account, second):
    operations = [transfer(account, second, "0.01") for _ in range(1000)]
    told = results(post(user, operations))
    assert {result["status"] for result in told} == {200}
    assert [told[0]["new_balance"], told[999]["new_balance"]] == ["99.99", "90.00"]
    assert len(user.rows(second)) == 1000


def test_batch_of_1000_with_the_longest_fields(user, account, second):
    operations = [transfer(account, second, "0.01", ("k" * 128 + new_key())[-128:])
                  for _ in range(1000)]
    assert set(statuses(post(user, operations, atomic=True))) == {200}


def test_batch_of_1000_through_one_account_from_8_clients_at_once(user, account, new_user):
    """What has no room in the queue, or no time, is 503, and can be sent again until it is done."""
    clients = [new_user(token=user.token, user_id=user.id) for _ in range(8)]
    batches = [[deposit(account, "1") for _ in range(1000)] for _ in clients]

    def is_done(number):
        answer = post(clients[number], batches[number])
        if answer.status_code == 503:
            assert int(answer.headers["retry-after"]) >= 1
            return False
        seen = set(statuses(answer))
        assert seen <= {200, 409, 503}, f"expected done, done before, or not now: {seen}"
        return 503 not in seen

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: wait_until(
            lambda: is_done(number), "a batch is done when it is sent again", 60, pause=0.1),
            range(8)))
    assert user.balance(account) == "8100.00"


@pytest.mark.parametrize("count", [0, 1001])
def test_batch_of_none_or_too_many_is_422(user, account, count):
    response = post(user, [deposit(account) for _ in range(count)])
    assert_invalid(response, "operations")
    assert user.balance(account) == "100.00"


@pytest.mark.parametrize(("body", "field"), [
    ({}, "operations"), ({"operations": None}, "operations"), ({"operations": {}}, "operations"),
    ({"operations": "all"}, "operations")])
def test_batch_without_operations_is_422(user, body, field):
    assert_invalid(user.http.post("/wallet/batch", json=body), field)


@pytest.mark.parametrize("value", ["true", 1, 0, None, []])
def test_batch_atomic_is_true_or_false(user, account, value):
    assert_invalid(post(user, [deposit(account)], atomic=value), "atomic")
    assert user.balance(account) == "100.00", "expected no guess at what was meant"


def test_batch_misspelt_member_is_422(user, account):
    assert_invalid(post(user, [deposit(account)], atomik=True), "atomik")
    assert user.balance(account) == "100.00", "expected it not to be posted one by one"


def test_batch_body_over_its_limit_is_413(user):
    content = b'{"operations":[' + b" " * (2 << 20) + b"]}"
    response = user.http.post("/wallet/batch", content=content,
                              headers={"Content-Type": "application/json"})
    assert_problem(response, 413)
