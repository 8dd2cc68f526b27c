"""The history, held against the journal: what became of every key (INV8, INV9), and what every read
showed (INV10)."""

from collections import namedtuple

from rig import history
from rig.history import (FAILED, NOT_DONE, POSTED, REFUSED, REPLAYED, UNKNOWN, USED, Request,
                         minor_of, minor_text)

MOMENT_REFUSALS = ("insufficient_funds", "batch_refused")
# Decided behind the look-up of the key: at that moment the key had not been used.
DECIDED = MOMENT_REFUSALS + ("same_account", "account_not_found", "not_owner", "asset_mismatch")
READ_AGAIN = ("unavailable", "overloaded", "deadline")

# A balance or a page that was shown: `entries` is known for a page, `minor` for a balance.
Shown = namedtuple("Shown", "begin end number account entries minor")


class Attempt:
    """One command of one request: alone, or in a batch."""

    __slots__ = ("number", "begin", "end", "request", "verdict", "code", "final", "balance",
                 "transaction", "same", "before", "where")

    def __init__(self, invocation, answer, request):
        self.number = invocation["n"]
        self.begin, self.end = invocation["t"], answer["t"]
        self.request = request
        self.final = "f" in invocation
        self.verdict, self.code = UNKNOWN, ""
        self.balance = self.transaction = self.same = None
        self.before = 0  # what earlier operations of an all-or-nothing batch add to its account
        self.where = ""

    def told(self, status, body, replayed, lost):
        body = body if isinstance(body, dict) else {}
        self.code = history.problem_code(body)
        self.verdict = (NOT_DONE if lost == "unsent" else
                        history.classify(status, self.code, replayed))
        self.balance = body.get("new_balance")
        self.transaction = body.get("transaction")
        self.same = body.get("same_request")


class Operations:
    """Reads the history once. `keys` maps (user, key) to its attempts."""

    def __init__(self, journal, model, setup, report):
        self.journal, self.model, self.setup, self.report = journal, model, setup, report
        self.numbers = [journal.number_of.get(account.id) for account in setup.accounts]
        self.keys = {}
        self.bodies = {}  # (user, key): the first answer
        self.groups = {}  # keys of an all-or-nothing batch: (user, number)
        self.shown = []
        self.lists = []  # reads of all accounts of a user: [Shown]
        self.counts = {"operations": 0, "reads": 0}

    def read(self, path):
        for invocation, answer in history.pairs(path):
            self.counts["operations"] += 1
            body = history.parse_body(answer)
            if answer.get("lost") == "timeout":
                self.report.add("L-11 deadline", f"operation {invocation['n']} {invocation['op']}",
                                "an answer at the deadline", "none within the client's patience")
            getattr(self, "_" + invocation["op"])(invocation, answer, body)

    def where(self, attempt, user=None, key=None):
        place = f"operation {attempt.number}{attempt.where} key {key} {attempt.request}"
        return place if user is None else f"{place} of user {user}"

    # ---- money ----

    def _money(self, invocation, answer, body):
        attempt = Attempt(invocation, answer, Request(*invocation["q"]))
        attempt.told(answer.get("st"), body, "r" in answer, answer.get("lost"))
        name = (invocation["u"], invocation["key"])
        self.keys.setdefault(name, []).append(attempt)
        if answer.get("st") == 200:
            first = self.bodies.setdefault(name, answer["b"])
            if first != answer["b"]:
                self.report.add("replay bytes", self.where(attempt, *name), first, answer["b"])
        elif answer.get("st") not in (None, 400, 403, 404, 409, 422, 500, 503):
            self.report.add("answer", self.where(attempt, *name), "an answer of the contract",
                            f"{answer.get('st')} {answer.get('b', '')[:300]}")

    def _batch(self, invocation, answer, body):
        items, user, atomic = invocation["items"], invocation["u"], invocation["atomic"]
        results = body.get("results") if isinstance(body, dict) else None
        attempts = []
        for place, (key, *request) in enumerate(items):
            attempt = Attempt(invocation, answer, Request(*request))
            attempt.where = f" item {place}"
            if results is not None and place < len(results):
                attempt.told(results[place].get("status"), results[place], False, None)
            else:
                attempt.told(answer.get("st"), body, False, answer.get("lost"))
            attempts.append(attempt)
            self.keys.setdefault((user, key), []).append(attempt)
        status = answer.get("st")
        if status not in (None, 200, 409, 422, 500, 503) or (
                status is not None and status != 503 and (
                    results is None or len(results) != len(items))):
            self.report.add("answer", f"operation {invocation['n']} batch", f"{len(items)} results",
                            f"{status} {answer.get('b', '')[:300]}")
        if atomic:
            self._group(user, items, attempts, invocation["n"], status)

    def _group(self, user, items, attempts, number, status):
        """All or nothing, in the answer; the journal is asked in check_groups."""
        self.groups[tuple((user, key) for key, *_ in items)] = number
        done = [one for one in attempts if one.verdict in (POSTED, REPLAYED, USED)]
        if done and len(done) < len(attempts):
            self.report.add("all or nothing", f"operation {number} batch {items[0][0]}",
                            "one outcome for all", [one.verdict for one in attempts])
        if (status == 200) != any(one.verdict == POSTED for one in attempts):
            self.report.add("answer", f"operation {number} batch {items[0][0]}",
                            "200 exactly when it was posted", f"{status}")
        poisoned = any(one.request.minor == self.setup.poison for one in attempts)
        added = {}
        for one in attempts:
            if poisoned and one.verdict == FAILED:
                one.code = "poisoned neighbour"
            one.before = added.get(one.request.own, 0)
            kind, own, other, minor = one.request
            added[own] = added.get(own, 0) + (minor if kind == "deposit" else -minor)
            if other is not None:
                added[other] = added.get(other, 0) + minor

    # ---- what became of a key ----

    def settle(self):
        """Every answer against the journal; fills begun and known of the transactions."""
        users = {principal: number for number, principal in enumerate(self.setup.users)}
        by_key = {}
        for transaction in self.journal.transactions:
            name = (users.get(transaction.principal), transaction.key)
            if name in by_key:
                self.report.add("INV8 key used twice", f"key {name[1]} of user {name[0]}",
                                f"one transaction ({by_key[name].id})", f"also {transaction.id}")
            by_key.setdefault(name, transaction)
            if name not in self.keys:
                self.report.add("INV9 nobody asked", f"transaction {transaction.id}",
                                "an operation that asked for it", f"none has key {name}")
        for name, attempts in self.keys.items():
            transaction = by_key.get(name)
            for attempt in attempts:
                self._check_attempt(name, attempt, transaction)
            if transaction is not None:
                self._find_poster(name, attempts, transaction)
            self._check_final(name, attempts, transaction)
        self._check_groups(by_key)

    def _check_attempt(self, name, attempt, transaction):
        where = self.where(attempt, *name)
        if attempt.verdict in (POSTED, REPLAYED, USED):
            if transaction is None:
                self.report.add("INV9 acknowledged", where, "its transaction in the journal",
                                "none")
            else:
                self._check_told(where, attempt, transaction)
        elif attempt.verdict == REFUSED:
            static = self.setup.static_refusal(name[0], attempt.request)
            expected = (static, "batch_refused") if static else MOMENT_REFUSALS
            if attempt.code not in expected or (attempt.code == "insufficient_funds"
                                                and attempt.request.kind == "deposit"):
                self.report.add("refusal", where, " or ".join(expected), attempt.code)
        elif attempt.verdict == FAILED:
            if attempt.request.minor != self.setup.poison and attempt.code != "poisoned neighbour":
                self.report.add("INV9 failed", where, "no 500 without poison", attempt.code)

    def _check_told(self, where, attempt, transaction):
        request = self.model.request_of.get(transaction.id)
        same = attempt.request == request
        if attempt.code == "idempotency_key_reused":
            if same:
                self.report.add("replay", where, "the first answer again", "422")
            return
        if attempt.transaction != transaction.id:
            self.report.add("INV9 transaction", where, transaction.id, attempt.transaction)
        if attempt.verdict == USED:
            if attempt.same is not same:
                self.report.add("replay", where, f"same_request {same}", attempt.same)
            return
        if not same:
            self.report.add("INV9 request", where, f"the journal's {request}", attempt.request)
        leg = transaction.leg_of(self.numbers[attempt.request.own])
        account = self.setup.accounts[attempt.request.own]
        expected = leg and minor_text(-leg.balance_after, account.decimals)
        if attempt.balance != expected:
            self.report.add("INV9 balance", where, expected, attempt.balance)

    def _find_poster(self, name, attempts, transaction):
        """One attempt has done it: the one that was told so, or one of those that know nothing."""
        request = self.model.request_of.get(transaction.id)
        posters = [one for one in attempts if one.verdict == POSTED]
        if len(posters) > 1:
            self.report.add("INV9 posted twice", self.where(posters[1], *name),
                            f"one new transaction (operation {posters[0].number})", "another one")
        posters = posters or [one for one in attempts
                              if one.verdict == UNKNOWN and one.request == request]
        if not posters:
            self.report.add("INV9 posted by nobody", f"key {name[1]} transaction {transaction.id}",
                            "an attempt that was told so or was told nothing",
                            [(one.number, one.verdict, one.code) for one in attempts][:4])
        else:
            transaction.begun = min(one.begin for one in posters)
        told = [one.end for one in attempts if one.verdict in (POSTED, REPLAYED, USED)]
        transaction.known = min(told, default=None)

    def _check_final(self, name, attempts, transaction):
        done = any(one.verdict in (POSTED, REPLAYED, USED) for one in attempts)
        last = [one for one in attempts if one.final and one.verdict in (REFUSED, FAILED)]
        if last and transaction is not None:
            self.report.add("INV9 refused", self.where(last[0], *name), "no transaction",
                            transaction.id)
        elif not done and not last:
            doubtful = [one for one in attempts if one.verdict in (UNKNOWN, NOT_DONE)]
            if doubtful:
                self.report.add("unresolved", self.where(doubtful[0], *name), "a final outcome",
                                [(one.number, one.verdict) for one in attempts][-4:])

    def _check_groups(self, by_key):
        for names, number in self.groups.items():
            found = sum(1 for name in names if name in by_key)
            if 0 < found < len(names):
                self.report.add("all or nothing", f"operation {number} batch {names[0][1]}",
                                f"all {len(names)} transactions or none", found)

    def late_evidence(self):
        """What reads and refusals say beyond the answers: a transaction that a page showed was
        known then, and one that a page did not show yet, or whose key was still free, came
        later."""
        chains = self.journal.chains
        for shown in self.shown:
            if shown.entries is None:
                continue
            chain = chains[shown.account]
            if 0 < shown.entries <= len(chain):
                newest = chain[shown.entries - 1]
                newest.known = min(newest.known or shown.end, shown.end)
            if shown.entries < len(chain):
                following = chain[shown.entries]
                following.begun = max(following.begun or shown.begin, shown.begin)
        by_name = {(self.setup.users.index(one.principal), one.key): one
                   for one in self.journal.transactions if one.principal in self.setup.users}
        for name, attempts in self.keys.items():
            transaction = by_name.get(name)
            for attempt in attempts:
                if transaction and attempt.verdict == REFUSED and attempt.code in DECIDED:
                    transaction.begun = max(transaction.begun or attempt.begin, attempt.begin)

    def check_refusals(self):
        """Insufficient funds: at some moment of the request there was indeed not enough."""
        for name, attempts in self.keys.items():
            for attempt in attempts:
                if attempt.code != "insufficient_funds":
                    continue
                account = self.numbers[attempt.request.own]
                first, last = self.model.states(account, attempt.begin, attempt.end)
                needed = attempt.request.minor - attempt.before
                if not any(self.model.balance(account, state) < needed
                           for state in range(first, last + 1)):
                    self.report.add(
                        "refusal", self.where(attempt, *name),
                        f"a balance below {needed} at some moment of the request",
                        f"after entries {first} to {last}: "
                        f"{[self.model.balance(account, n) for n in range(first, last + 1)][:8]}")

    # ---- reads ----

    def _is_read(self, invocation, answer, body):
        self.counts["reads"] += 1
        status = answer.get("st")
        if status is None or (status == 503 and history.problem_code(body) in READ_AGAIN):
            return False
        if status != 200:
            self.report.add("answer", f"operation {invocation['n']} {invocation['op']}",
                            "200, or 503 for a while", f"{status} {answer.get('b', '')[:300]}")
        return status == 200

    def _show(self, invocation, answer, account, entries, minor):
        shown = Shown(invocation["t"], answer["t"], invocation["n"], self.numbers[account], entries,
                      minor)
        self.shown.append(shown)
        return shown

    def _balance(self, invocation, answer, body):
        if self._is_read(invocation, answer, body):
            self._show_balance(invocation, answer, invocation["a"], body)

    def _show_balance(self, invocation, answer, number, body):
        account = self.setup.accounts[number]
        minor = minor_of(body["balance"], account.decimals)
        if minor is None or body.get("available", body["balance"]) != body["balance"]:
            self.report.add("answer", f"operation {invocation['n']} balance",
                            "a balance, all of it available", body)
        return self._show(invocation, answer, number, None, minor)

    def _accounts(self, invocation, answer, body):
        if not self._is_read(invocation, answer, body):
            return
        expected = [number for number, account in enumerate(self.setup.accounts)
                    if account.user == invocation["u"]]
        found = [self.setup.number_of.get(one["id"]) for one in body]
        if sorted(found, key=str) != sorted(expected, key=str):
            self.report.add("answer", f"operation {invocation['n']} accounts", expected, found)
            return
        self.lists.append([self._show_balance(invocation, answer, number, one)
                           for number, one in zip(found, body)])

    def _transaction(self, invocation, answer, body):
        """It was acknowledged before, so it must be there."""
        if not self._is_read(invocation, answer, body):
            return
        transaction = self.journal.by_id.get(invocation["id"])
        where = f"operation {invocation['n']} transaction {invocation['id']}"
        if transaction is None:
            self.report.add("INV9 acknowledged", where, "it in the journal", "none")
            return
        expected = set()
        for leg in transaction.legs:
            account = self.journal.accounts[leg.account]
            decimals = self._decimals(account)
            own = account.owner == self.setup.users[invocation["u"]]
            expected.add((account.id, minor_text(account.sign * leg.amount, decimals),
                          minor_text(account.sign * leg.balance_after, decimals) if own else None))
        found = {(one["account_id"], one["amount"], one.get("balance_after"))
                 for one in body["entries"]}
        if found != expected or body["created_at"] != transaction.created_at:
            self.report.add("read of a transaction", where, expected, body)

    def _decimals(self, account):
        if account.id in self.setup.number_of:
            return self.setup.accounts[self.setup.number_of[account.id]].decimals
        return next(one.decimals for one in self.setup.accounts if one.currency == account.asset)

    def _history(self, invocation, answer, body):
        if not self._is_read(invocation, answer, body):
            return
        number, limit = invocation["a"], invocation["limit"]
        account = self.numbers[number]
        where = f"operation {invocation['n']} history of account {self.setup.accounts[number].id}"
        chain, legs = self.journal.chains[account], self.journal.legs[account]
        if not body:
            if "offset" not in invocation and invocation.get("cursor") != 1:
                self._show(invocation, answer, number, 0, None)
            return
        newest = self.journal.by_id.get(body[0]["id"])
        leg = newest and newest.leg_of(account)
        if leg is None:
            self.report.add("INV9 acknowledged", where, "each line's transaction in the journal",
                            body[0])
            return
        first = max(leg.seq - limit, 0)
        lines = list(zip(reversed(chain[first:leg.seq]), reversed(legs[first:leg.seq])))
        expected = [self._line(number, transaction, one) for transaction, one in lines]
        found = [(line["id"], line["amount"], line["type"], line["created_at"]) for line in body]
        if found != expected:
            self.report.add("read of a page", where, expected[:3], found[:3])
        if answer.get("cur") != (first + 1 if first > 0 else None):
            self.report.add("read of a page", where, f"the next cursor {first + 1}",
                            answer.get("cur"))
        if "cursor" not in invocation:
            self._show(invocation, answer, number, leg.seq + invocation.get("offset", 0), None)
        elif leg.seq > invocation["cursor"] - 1:
            self.report.add("read of a page", where, f"seq below {invocation['cursor']}", leg.seq)

    def _line(self, number, transaction, leg):
        amount = -leg.amount  # a wallet is a liability
        kind = {"deposit": "DEPOSIT", "withdraw": "WITHDRAW"}.get(
            transaction.kind, "TRANSFER_IN" if amount > 0 else "TRANSFER_OUT")
        return (transaction.id, minor_text(amount, self.setup.accounts[number].decimals), kind,
                transaction.created_at)

    # ---- reads in time ----

    def check_reads(self):
        exact = {}
        for shown in self.shown:
            first, last = self.model.states(shown.account, shown.begin, shown.end)
            if shown.entries is not None:
                if not first <= shown.entries <= last:
                    self.report.add("INV10 read", f"operation {shown.number} history",
                                    f"{first} to {last} entries at that time", shown.entries)
                continue
            fitting = [state for state in range(first, last + 1)
                       if self.model.balance(shown.account, state) == shown.minor]
            if not fitting:
                self.report.add(
                    "INV10 read", f"operation {shown.number} balance",
                    f"a balance of entries {first} to {last}: "
                    f"{[self.model.balance(shown.account, n) for n in range(first, last + 1)][:8]}",
                    shown.minor)
            elif len(fitting) == 1:
                exact[shown] = fitting[0]
        self._check_lists(exact)
        # A balance that only one state had is as good as a page.
        self.shown = [shown._replace(entries=exact[shown]) if shown in exact else shown
                      for shown in self.shown]

    def _check_lists(self, exact):
        """All accounts of a list are of one moment: a transfer between them shows on both or
        none."""
        for shown in self.lists:
            known = [(one, exact[one]) for one in shown if one in exact]
            for one, entries in known:
                for other, others in known:
                    if one is not other and self._torn(one.account, entries, other.account, others):
                        self.report.add("INV10 list", f"operation {one.number} accounts",
                                        "all balances of one moment", (entries, others))

    def _torn(self, account, entries, other, others):
        """Does the first show a transfer to or from the second that the second does not show? The
        last common one that the first shows is enough to look at."""
        chain, legs = self.journal.chains[account], self.journal.legs[account]
        for place in range(entries - 1, max(entries - 200, -1), -1):
            leg = chain[place].leg_of(other)
            if leg is not None and legs[place].account == account:
                return leg.seq > others
        return False
