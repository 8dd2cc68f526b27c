"""The checker sees what it is there for: a right history with its journal, and then one thing wrong
at a time. No service and no database: both are made up here."""

import copy
import json

import pytest

from rig import checker, history
from rig.history import Account, Setup
from rig.journal import Journal
from rig.report import Report

USERS = ["u0", "u1"]
SETUP = {"users": USERS, "poison": 66613,
         "accounts": [["a0", 0, "RUB", 2], ["a1", 1, "RUB", 2], ["a2", 0, "RUB", 2]]}
PROBLEM = "urn:pacioli:problem:"


class Story:
    """A history in the making, and the journal that belongs to it. Times are numbers; every
    operation takes two of them and the next begins behind it, unless `at` says otherwise."""

    def __init__(self):
        self.setup = Setup(SETUP)
        self.records, self.transactions, self.entries = [], [], []
        self.posted = {"a0": 0, "a1": 0, "a2": 0, "bank": 0}
        self.seqs = dict.fromkeys(self.posted, 0)
        self.now, self.number = 0, 0

    def exchange(self, operation, at=None, **answer):
        """One request and its answer."""
        self.number += 1
        begin, end = at or (self.now + 1, self.now + 2)
        self.now = max(self.now, end)
        self.records.append({"e": "i", "n": self.number, "t": begin, "s": 0, **operation})
        if "b" in answer:
            answer["b"] = json.dumps(answer["b"])
        self.records.append({"e": "a", "n": self.number, "t": end, **answer})
        return self.number

    def post(self, user, key, kind, own, other, minor):
        """Into the journal; the own balance afterwards, as text."""
        name, settlement = f"a{own}", "bank"
        transaction = f"t-{key}"
        self.transactions.append([transaction, kind, USERS[user], key, f"time-{key}"])
        legs = {"deposit": [(name, -minor), (settlement, minor)],
                "withdraw": [(name, minor), (settlement, -minor)],
                "transfer": [(name, minor), (f"a{other}", -minor)]}[kind]
        for account, amount in legs:
            self.posted[account] += amount
            self.seqs[account] += 1
            self.entries.append([account, self.seqs[account], transaction, amount,
                                 self.posted[account]])
        return history.minor_text(-self.posted[name], 2)

    def request(self, user, key, kind, own, other, minor, form="header", **more):
        return {"op": "money", "u": user, "key": key, "q": [kind, own, other, minor], "form": form,
                **more}

    def done(self, user, key, kind, own, other, minor, at=None):
        """Posted and told so."""
        balance = self.post(user, key, kind, own, other, minor)
        body = {"status": "success", "new_balance": balance, "transaction": f"t-{key}"}
        self.exchange(self.request(user, key, kind, own, other, minor), at, st=200, b=body)
        return body

    def problem(self, status, code, **more):
        return {"st": status,
                "b": {"type": PROBLEM + code, "status": status, "detail": code, **more}}

    def balance(self, account, minor, at=None):
        text = history.minor_text(minor, 2)
        self.exchange({"op": "balance", "u": 0, "a": account}, at, st=200,
                      b={"id": f"a{account}", "balance": text, "available": text})

    def page(self, account, lines, at=None, limit=5, **answer):
        self.exchange({"op": "history", "u": 0, "a": account, "limit": limit}, at, st=200, b=lines,
                      **answer)

    def line(self, key, amount, kind):
        return {"id": f"t-{key}", "account_id": "a0", "amount": amount, "type": kind,
                "created_at": f"time-{key}"}

    def check(self, folder):
        path = folder / "history.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in self.records))
        accounts = [[account.id, USERS[account.user], "RUB", "liability", "wallets:", "0"]
                    for account in self.setup.accounts]
        accounts.append(["bank", None, "RUB", "asset", "assets:settlement:RUB", None])
        report = Report()
        entries = sorted(self.entries, key=lambda entry: (entry[0], entry[1]))
        checker.check(path, Journal(accounts, self.transactions, entries), self.setup, report)
        return report

    # ---- places to break ----

    def answer_to(self, key):
        number = next(record["n"] for record in self.records
                      if record["e"] == "i" and record.get("key") == key)
        return next(record for record in self.records
                    if record["e"] == "a" and record["n"] == number)

    def change(self, key, **members):
        answer = self.answer_to(key)
        answer["b"] = json.dumps({**json.loads(answer["b"]), **members})


def good_story():
    story = Story()
    story.done(0, "open", "deposit", 0, None, 10000)
    first = story.done(0, "k-first", "transfer", 0, 1, 2500)
    story.exchange(story.request(0, "k-first", "transfer", 0, 1, 2500), st=200, r=1, b=first)
    story.exchange(story.request(0, "k-first", "transfer", 0, 1, 2500, "body"), **story.problem(
        409, "duplicate", transaction="t-k-first", same_request=True))
    story.exchange(story.request(0, "k-first", "transfer", 0, 1, 2501, "body"), **story.problem(
        409, "duplicate_changed", transaction="t-k-first", same_request=False))
    story.exchange(story.request(0, "k-first", "transfer", 0, 1, 2501), **story.problem(
        422, "idempotency_key_reused", transaction="t-k-first", same_request=False))
    story.exchange(story.request(1, "k-poor", "withdraw", 1, None, 2501), **story.problem(
        400, "insufficient_funds"))
    story.exchange(story.request(1, "k-thief", "transfer", 0, 1, 1), **story.problem(
        403, "not_owner"))
    story.exchange(story.request(0, "k-poison", "deposit", 0, None, 66613), **story.problem(
        500, "internal"))
    # Two at once: the second in the journal was answered first.
    story.done(0, "k-slow", "deposit", 0, None, 1, at=(100, 110))
    story.done(0, "k-quick", "deposit", 0, None, 2, at=(101, 105))
    # Lost, and done; lost, and not done; told that nothing was done, and then done.
    body = {"status": "success", "new_balance": story.post(0, "k-lost", "withdraw", 0, None, 3),
            "transaction": "t-k-lost"}
    story.exchange(story.request(0, "k-lost", "withdraw", 0, None, 3), lost="cut")
    story.exchange(story.request(0, "k-lost", "withdraw", 0, None, 3, f=1), st=200, r=1, b=body)
    story.exchange(story.request(1, "k-never", "withdraw", 1, None, 9999), lost="cut")
    story.exchange(story.request(1, "k-never", "withdraw", 1, None, 9999, f=1), **story.problem(
        400, "insufficient_funds"))
    story.exchange(story.request(0, "k-busy", "deposit", 2, None, 500), **story.problem(
        503, "unavailable"))
    story.done(0, "k-busy", "deposit", 2, None, 500)
    # Batches: one by one, and all or nothing.
    results = [{"index": 0, "status": 200, "transaction": "t-b-0",
                "new_balance": story.post(0, "b-0", "deposit", 2, None, 7)},
               {"index": 1, "type": PROBLEM + "insufficient_funds", "status": 400}]
    story.exchange({"op": "batch", "u": 0, "atomic": False, "items": [
        ["b-0", "deposit", 2, None, 7], ["b-1", "withdraw", 2, None, 10**9]]}, st=200,
        b={"accepted": 1, "refused": 1, "results": results})
    results = [{"index": n, "status": 200, "transaction": f"t-g-{n}",
                "new_balance": story.post(0, f"g-{n}", "deposit", 2, None, n + 1)}
               for n in range(2)]
    story.exchange({"op": "batch", "u": 0, "atomic": True, "items": [
        [f"g-{n}", "deposit", 2, None, n + 1] for n in range(2)]}, st=200,
        b={"accepted": 2, "refused": 0, "results": results})
    # The second only fails because the first would have taken the money.
    refused = [{"index": 0, "type": PROBLEM + "batch_refused", "status": 422},
               {"index": 1, "type": PROBLEM + "insufficient_funds", "status": 400}]
    story.exchange({"op": "batch", "u": 0, "atomic": True, "items": [
        ["h-0", "withdraw", 2, None, 500], ["h-1", "withdraw", 2, None, 11]]},
        **story.problem(422, "batch_refused", results=refused))
    story.balance(0, 7500)
    story.balance(0, 7500, at=(90, 100))  # sent before k-slow
    story.page(0, [story.line("k-lost", "-0.03", "WITHDRAW"),
                   story.line("k-quick", "0.02", "DEPOSIT"),
                   story.line("k-slow", "0.01", "DEPOSIT"),
                   story.line("k-first", "-25.00", "TRANSFER_OUT"),
                   story.line("open", "100.00", "DEPOSIT")])
    story.exchange({"op": "accounts", "u": 0}, st=200, b=[
        {"id": "a0", "balance": "75.00"}, {"id": "a2", "balance": "5.10"}])
    story.exchange({"op": "transaction", "u": 0, "id": "t-k-first"}, st=200, b={
        "created_at": "time-k-first", "entries": [
            {"account_id": "a0", "amount": "-25.00", "balance_after": "75.00"},
            {"account_id": "a1", "amount": "25.00"}]})
    return story


def test_a_right_history_has_no_violation(tmp_path):
    report = good_story().check(tmp_path)
    assert not report, "\n".join(report.lines())


# ---- one thing wrong ----

def lost_transaction(story):
    story.transactions = [one for one in story.transactions if one[0] != "t-k-busy"]
    story.entries = [one for one in story.entries if one[2] != "t-k-busy"]


def transaction_nobody_asked_for(story):
    story.post(0, "k-ghost", "deposit", 0, None, 5)


def second_transaction_of_a_key(story):
    story.post(0, "k-first", "transfer", 0, 1, 2500)
    for one in story.entries[-2:]:
        one[2] = "t-again"
    story.transactions[-1][0] = "t-again"


def wrong_balance_told(story):
    story.change("k-first", new_balance="74.99")


def other_transaction_told(story):
    story.change("k-first", transaction="t-open")


def other_amount_posted(story):
    for entry in story.entries:
        if entry[2] == "t-k-busy":
            entry[3] += 1 if entry[3] > 0 else -1


def wrong_sign(story):
    for entry in story.entries:
        if entry[2] == "t-k-first":
            entry[3] = -entry[3]


def leg_missing(story):
    story.entries = [entry for entry in story.entries if entry[:2] != ["a1", 1]]


def seq_used_twice(story):
    next(entry for entry in story.entries if entry[:2] == ["a0", 3])[1] = 2


def balance_after_wrong(story):
    next(entry for entry in story.entries if entry[:2] == ["a0", 3])[4] += 1


def below_the_limit(story):
    story.done(1, "k-deep", "withdraw", 1, None, 2501)


def first_answer_not_repeated(story):
    answer = [record for record in story.records if record.get("r") == 1][0]
    answer["b"] = answer["b"].replace(" ", "")


def duplicate_with_wrong_balance(story):
    answer = [record for record in story.records if record.get("r") == 1][1]
    answer["b"] = json.dumps({**json.loads(answer["b"]), "new_balance": "75.03"})


def same_request_wrong(story):
    number = [r["n"] for r in story.records if r.get("key") == "k-first" and r["form"] == "body"][0]
    answer = next(r for r in story.records if r["e"] == "a" and r["n"] == number)
    answer["b"] = answer["b"].replace("true", "false")


def posted_twice_told(story):
    for record in story.records:
        if record.get("r") == 1:
            del record["r"]


def posted_though_unavailable(story):
    story.post(0, "k-none", "deposit", 2, None, 1)
    story.exchange(story.request(0, "k-none", "deposit", 2, None, 1), **story.problem(
        503, "unavailable"))
    story.exchange(story.request(0, "k-none", "deposit", 2, None, 1, "body", f=1), **story.problem(
        409, "duplicate", transaction="t-k-none", same_request=True))


def new_key_told_duplicate(story):
    story.post(0, "k-strange", "deposit", 2, None, 1)
    story.exchange(story.request(0, "k-strange", "deposit", 2, None, 1, "body"), **story.problem(
        409, "duplicate", transaction="t-k-strange", same_request=True))


def refused_but_posted(story):
    story.post(1, "k-poor", "withdraw", 1, None, 2501)


def refused_in_the_end_but_posted(story):
    story.posted["a1"] -= 20000
    story.post(1, "k-never", "withdraw", 1, None, 9999)


def refused_with_enough(story):
    story.exchange(story.request(1, "k-rich", "withdraw", 1, None, 2500), **story.problem(
        400, "insufficient_funds"))


def group_refused_with_enough(story):
    refused = [{"index": 0, "type": PROBLEM + "batch_refused", "status": 422},
               {"index": 1, "type": PROBLEM + "insufficient_funds", "status": 400}]
    story.exchange({"op": "batch", "u": 0, "atomic": True, "items": [
        ["h-8", "withdraw", 2, None, 500], ["h-9", "withdraw", 2, None, 10]]},
        **story.problem(422, "batch_refused", results=refused))


def stranger_may(story):
    story.done(1, "k-grab", "transfer", 0, 1, 1)


def failed_without_poison(story):
    story.exchange(story.request(0, "k-fail", "deposit", 0, None, 1), **story.problem(
        500, "internal"))


def never_resolved(story):
    story.exchange(story.request(0, "k-open", "deposit", 0, None, 1), lost="cut")


def half_a_group(story):
    story.transactions = [one for one in story.transactions if one[0] != "t-g-1"]
    story.entries = [one for one in story.entries if one[2] != "t-g-1"]


def half_a_refused_group(story):
    story.post(0, "h-0", "withdraw", 2, None, 500)


def balance_of_yesterday(story):
    story.balance(0, 10000)


def balance_of_tomorrow(story):
    story.balance(0, 7503, at=(60, 61))


def balance_of_nowhere(story):
    story.balance(0, 12345)


def page_without_the_newest(story):
    page = [record for record in story.records if record["e"] == "a"][-3]
    page["b"] = json.dumps(json.loads(page["b"])[1:])


def page_with_a_wrong_amount(story):
    page = [record for record in story.records if record["e"] == "a"][-3]
    page["b"] = page["b"].replace("-25.00", "25.00")


def page_with_a_line_left_out(story):
    page = [record for record in story.records if record["e"] == "a"][-3]
    lines = json.loads(page["b"])
    page["b"] = json.dumps(lines[:2] + lines[3:])


def later_one_has_the_smaller_seq(story):
    """k-quick was told before k-slow was sent, and stands behind it all the same."""
    number = story.answer_to("k-slow")["n"]
    for record in story.records:
        if record.get("n") == number:
            record["t"] += 10


def reads_go_backwards(story):
    """Two pages while two operations are under way: the later page shows less."""
    story.done(0, "k-one", "deposit", 2, None, 3, at=(500, 600))
    both = story.line("k-one", "0.03", "DEPOSIT"), story.line("g-1", "0.02", "DEPOSIT")
    story.page(2, [both[0]], at=(510, 520), limit=1, cur=5)
    story.page(2, [both[1]], at=(530, 540), limit=1, cur=4)


def page_shows_what_was_not_asked_yet(story):
    story.done(0, "k-one", "deposit", 2, None, 3, at=(500, 600))
    story.page(2, [story.line("k-one", "0.03", "DEPOSIT")], at=(490, 495), limit=1, cur=5)


def torn_list(story):
    """A transfer between two accounts of the list, seen on one side only."""
    story.done(0, "k-move", "transfer", 0, 2, 100, at=(500, 600))
    story.exchange({"op": "accounts", "u": 0}, at=(510, 520), st=200, b=[
        {"id": "a0", "balance": "75.00"}, {"id": "a2", "balance": "6.10"}])


def acknowledged_transaction_gone(story):
    story.exchange({"op": "transaction", "u": 0, "id": "t-k-first"}, **story.problem(
        404, "transaction_not_found"))


def accounts_disagree_about_the_order(story):
    """A circle: first before second on one account, second before first on the other."""
    story.done(0, "k-x", "transfer", 0, 2, 1, at=(500, 600))
    story.done(0, "k-y", "transfer", 0, 2, 1, at=(500, 600))
    x, y = (next(entry for entry in story.entries if entry[0] == "a2" and entry[2] == f"t-k-{name}")
            for name in "xy")
    x[2], y[2] = y[2], x[2]


def request_hangs(story):
    story.exchange(story.request(0, "k-first", "transfer", 0, 1, 2500), lost="timeout")


def wrong_status(story):
    story.exchange(story.request(0, "k-first", "transfer", 0, 1, 2500), st=429, b={})


BREAKS = {
    lost_transaction: "INV9 acknowledged",
    transaction_nobody_asked_for: "INV9 nobody asked",
    second_transaction_of_a_key: "INV8",
    wrong_balance_told: "INV9 balance",
    other_transaction_told: "INV9 transaction",
    other_amount_posted: "INV9 request",
    wrong_sign: "INV4 balance",
    leg_missing: "INV1 form",
    seq_used_twice: "INV4 sequence",
    balance_after_wrong: "INV4 balance",
    below_the_limit: "INV5",
    first_answer_not_repeated: "replay bytes",
    duplicate_with_wrong_balance: "INV9 balance",
    same_request_wrong: "replay",
    posted_twice_told: "INV9 posted twice",
    posted_though_unavailable: "INV9 posted by nobody",
    new_key_told_duplicate: "INV9 posted by nobody",
    refused_but_posted: "INV9 posted by nobody",
    refused_in_the_end_but_posted: "INV9 refused",
    refused_with_enough: "refusal",
    group_refused_with_enough: "refusal",
    stranger_may: "INV9 refused",
    failed_without_poison: "INV9 failed",
    never_resolved: "unresolved",
    half_a_group: "all or nothing",
    half_a_refused_group: "all or nothing",
    balance_of_yesterday: "INV10 read",
    balance_of_tomorrow: "INV10 read",
    balance_of_nowhere: "INV10 read",
    page_without_the_newest: "INV10 read",
    page_with_a_wrong_amount: "read of a page",
    page_with_a_line_left_out: "read of a page",
    later_one_has_the_smaller_seq: "INV10 real time",
    reads_go_backwards: "INV10 real time, with reads",
    page_shows_what_was_not_asked_yet: "INV10 read",
    torn_list: "INV10 list",
    acknowledged_transaction_gone: "answer",
    accounts_disagree_about_the_order: "order",
    request_hangs: "L-11",
    wrong_status: "answer",
}


@pytest.mark.parametrize("change", BREAKS, ids=lambda change: change.__name__)
def test_one_thing_wrong_is_seen(change, tmp_path):
    story = copy.deepcopy(good_story())
    change(story)
    report = story.check(tmp_path)
    assert any(rule.startswith(BREAKS[change]) for rule in report.counts), (
        f"expected a violation of {BREAKS[change]}, found:\n" + "\n".join(report.lines()))


def test_a_request_that_outlives_its_deadline_is_seen(tmp_path):
    story = Story()
    second = 10**9
    story.done(0, "open", "deposit", 0, None, 10000, at=(0, 9 * second))
    story.check(tmp_path)
    path = tmp_path / "history.jsonl"
    report = Report()
    checker.check_deadlines(path, [], report)
    assert report.counts == {"L-11 deadline": 1} or checker.scaled(1) > 1
    report = Report()
    checker.check_deadlines(path, [{"what": "service_stop", "t": second, "service": 0,
                                    "seconds": 4}], report)
    assert not report, "expected the time for which the service was stopped not to count"


def test_balances_in_text_are_read_strictly():
    assert Account("a", 0, "RUB", 2).decimals == 2
    assert history.minor_of("12.50", 2) == 1250
    assert history.minor_of("-0.05", 2) == -5
    assert history.minor_of("7", 0) == 7
    for text in ("12.5", "12", "1e3", "", None, "+1.00"):
        assert history.minor_of(text, 2) is None, text
