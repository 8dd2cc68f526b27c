"""Operators reverse transactions: both are linked, and it happens once."""

import random

import pytest

from support import tokens
from support.api import NOBODY, assert_invalid, assert_ok, assert_problem, new_key
from support.load import together


@pytest.fixture
def operator(new_user, secret):
    user = new_user()
    return new_user(token=tokens.access_token(user.id, secret, roles=["operator"]), user_id=user.id)


def transaction_of(user, account):
    return user.rows(account)[-1]["id"]


def shown(user, transaction):
    return assert_ok(user.http.get(f"/wallet/transactions/{transaction}"))


def kind_of(problem):
    return problem["type"].rpartition(":")[2]


@pytest.mark.parametrize("what", ["deposit", "withdraw", "transfer"])
def test_both_name_each_other_and_the_money_is_where_it_was(operator, user, other, what):
    account, theirs = user.account(funds="10"), other.account(funds="10")
    assert_ok({"deposit": lambda: user.deposit(account, "3.5"),
               "withdraw": lambda: user.withdraw(account, "3.5"),
               "transfer": lambda: user.transfer(account, theirs, "3.5")}[what]())
    wrong = transaction_of(user, account)
    answer = assert_ok(operator.reverse(wrong))
    assert answer == {"status": "success", "transaction": answer["transaction"], "reverses": wrong}
    assert (user.balance(account), other.balance(theirs)) == ("10.00", "10.00")
    first, second = shown(user, wrong), shown(user, answer["transaction"])
    assert first["reversed_by"] == second["id"] and second["reverses"] == first["id"]
    assert second["kind"] == "reversal" and "reversed_by" not in second
    amounts = {entry["account_id"]: float(entry["amount"]) for entry in first["entries"]}
    assert {entry["account_id"]: -float(entry["amount"]) for entry in second["entries"]} == amounts
    assert user.rows(account)[-1]["type"] == "REVERSAL"


def test_it_happens_once(operator, user, new_user, secret):
    account = user.account(funds="10")
    wrong, key = transaction_of(user, account), new_key()
    done = assert_ok(operator.reverse(wrong, key=key))
    again = assert_problem(operator.reverse(wrong, key=key), 409)
    assert (kind_of(again), again["same_request"]) == ("duplicate", True)
    changed = assert_problem(operator.reverse(wrong, "another reason", key=key), 409)
    assert (kind_of(changed), changed["same_request"]) == ("duplicate_changed", False)
    colleague = new_user(token=tokens.access_token(NOBODY, secret, roles=["operator"]))
    for somebody in (operator, colleague):
        refused = assert_problem(somebody.reverse(wrong), 409)
        assert (kind_of(refused), refused["transaction"]) == ("already_reversed",
                                                              done["transaction"])
    refused = assert_problem(operator.reverse(done["transaction"]), 422)
    assert kind_of(refused) == "reversal_of_reversal"
    assert user.balance(account) == "0.00"


def test_a_key_in_the_header_gets_the_first_answer_again(operator, user):
    account = user.account(funds="10")
    wrong, header = transaction_of(user, account), {"Idempotency-Key": new_key()}
    first = operator.reverse(wrong, headers=header)
    again = operator.reverse(wrong, headers=header)
    assert_ok(first)
    assert again.content == first.content and again.headers["idempotent-replayed"] == "true"
    refused = assert_invalid(operator.reverse(wrong, "another", headers=header), "Idempotency-Key")
    assert kind_of(refused) == "idempotency_key_reused"


def test_a_key_of_a_money_operation_is_used_up(operator, user):
    mine, theirs, key = operator.account(), user.account(funds="1"), new_key()
    assert_ok(operator.deposit(mine, "1", key=key))
    refused = assert_problem(operator.reverse(transaction_of(user, theirs), key=key), 409)
    assert kind_of(refused) == "duplicate_changed"
    assert user.balance(theirs) == "1.00"


def test_what_was_spent_is_not_taken_back(operator, user):
    account = user.account(funds="10")
    wrong, key = transaction_of(user, account), new_key()
    assert_ok(user.withdraw(account, "0.01"))
    assert_problem(operator.reverse(wrong, key=key), 400, "Insufficient funds")
    assert_ok(user.deposit(account, "0.01"))
    assert_ok(operator.reverse(wrong, key=key))  # a refusal does not use the key up
    assert user.balance(account) == "0.00"


def test_accounts_that_refuse(operator, user):
    account = user.account(funds="10")
    deposit = transaction_of(user, account)
    assert_ok(user.withdraw(account, "4"))
    withdrawal = transaction_of(user, account)
    assert_ok(operator.control(account, "freeze"))
    assert_ok(operator.reverse(withdrawal))  # gives
    assert kind_of(assert_problem(operator.reverse(deposit), 422)) == "account_frozen"
    assert_ok(operator.control(account, "unfreeze"))
    assert_ok(operator.reverse(deposit))
    empty = user.account(funds="1")
    deposit = transaction_of(user, empty)
    assert_ok(user.withdraw(empty, "1"))
    assert_ok(operator.control(empty, "close"))
    assert kind_of(assert_problem(operator.reverse(deposit), 422)) == "account_closed"


def test_requests_that_are_wrong(operator, user):
    wrong = transaction_of(user, user.account(funds="1"))
    assert_problem(operator.reverse(NOBODY), 404)
    assert_invalid(operator.reverse("nothing"), "id")
    assert_invalid(operator.reverse(wrong, reason=""), "reason")
    assert_invalid(operator.reverse(wrong, key="short"), "idempotency_key")
    assert_invalid(operator.reverse(wrong, headers={"X": "y"}), "idempotency_key")
    assert_invalid(operator.reverse(wrong, key=new_key(), headers={"Idempotency-Key": new_key()}),
                   "Idempotency-Key")
    assert kind_of(assert_problem(user.reverse(wrong), 403)) == "insufficient_role"


# ---- races ----

def test_of_many_at_once_one_reverses(operator, user):
    account = user.account(funds="10")
    wrong = transaction_of(user, account)
    answers = together(16, lambda number: operator.reverse(wrong))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 15
    names = {answer.json()["transaction"] for answer in answers}
    assert len(names) == 1, f"expected all to name the one reversal: {names}"
    assert user.balance(account) == "0.00"


def test_of_one_key_for_many_transactions_one_is_reversed(operator, user):
    """The accounts differ, so that no lock keeps them apart; the currencies' settlement too."""
    accounts = [user.account(funds="10", currency=currency)
                for currency in ("RUB", "USD", "EUR", "GBP")]
    wrong, key = [transaction_of(user, account) for account in accounts], new_key()
    answers = together(4, lambda number: operator.reverse(wrong[number], key=key))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert sorted(user.balance(account) for account in accounts) == ["0.00"] + ["10.00"] * 3


def test_reversals_between_postings_of_the_same_accounts(operator, user, other, wallet_database):
    """Every snapshot is moved by both; after the file all invariants are looked at."""
    account, theirs = user.account(funds="100"), other.account(funds="100")
    wrong = []
    for _ in range(30):
        assert_ok(user.transfer(account, theirs, "1"))
        wrong.append(transaction_of(user, account))
    random.shuffle(wrong)

    def work(number):
        if number < 3:
            return [operator.reverse(one).status_code for one in wrong[number::3]]
        return [other.transfer(theirs, account, "0.01").status_code for _ in range(30)]

    statuses = sum(together(6, work), [])
    assert set(statuses) == {200}
    assert (user.balance(account), other.balance(theirs)) == ("100.90", "99.10")
