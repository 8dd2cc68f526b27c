"""The journal as one history: transactions in an order that every account agrees with, replayed one
at a time, and the interval of real time in which each must have been committed.

Every account numbers its entries; those numbers are the only order there is (no clock is trusted).
A transaction stands behind the one before it on each of its accounts, so all of them together have
an order unless those edges make a circle. Real time adds edges: what somebody was told of before
another was asked for comes first. With both kinds of edges there is no circle exactly when, for
every transaction, none of its predecessors was asked for later than somebody was told of it: in a
circle, each step through real time makes the next begin later than the last was known, and so back
to its own beginning (interval orders). So two passes are enough:

    lower(T) = the latest moment at which T or one of its predecessors was asked for
    upper(T) = the earliest moment at which somebody had been told of T or one of its successors

T was committed between the two, and lower(T) > known(T) is a violation of real-time order (INV10).
"""

from bisect import bisect_left, bisect_right
from collections import deque

ALWAYS, NEVER = -1, 1 << 63


class Model:
    """Needs journal; `begun` and `known` of its transactions are filled before time()."""

    def __init__(self, journal, setup, report):
        self.journal, self.setup, self.report = journal, setup, report
        self.sorted = []
        self.request_of = {}  # transaction id: Request
        self.after = [[] for _ in journal.accounts]  # own balance after each entry

    # ---- replay ----

    def replay(self):
        """Orders the transactions and replays them; INV1, INV3 to INV6 on the way."""
        journal, report = self.journal, self.report
        for place in journal.orphans:
            report.add("INV6 orphan", f"entry {place}", "its transaction and its account", "none")
        for transaction in journal.transactions:
            self._recognise(transaction)
        posted = [0] * len(journal.accounts)
        for transaction in self._order():
            transaction.order = len(self.sorted)
            self.sorted.append(transaction)
            for leg in transaction.legs:
                self._apply(transaction, leg, posted)
        if len(self.sorted) < len(journal.transactions):
            stuck = [one for one in journal.transactions if one.order is None]
            report.add("order",
                       f"{len(stuck)} transactions, first {stuck[0].id} key {stuck[0].key}",
                       "an order that all accounts agree with", "a circle")

    def _recognise(self, transaction):
        """What was asked for, as the two entries show it."""
        users = self.setup.users
        user = users.index(transaction.principal) if transaction.principal in users else None
        request = self.journal.request_of(transaction, self.setup)
        where = f"transaction {transaction.id} key {transaction.key}"
        if request is None:
            self.report.add("INV1 form", where, f"the two entries of a {transaction.kind}",
                            transaction.legs)
        elif reason := self.setup.static_refusal(user, request):
            self.report.add("INV9 refused", where, reason, request)
        self.request_of[transaction.id] = request

    def _order(self):
        """Transactions, each behind the one before it on each of its accounts."""
        journal = self.journal
        missing = {one.id: len(one.legs) for one in journal.transactions}
        heads = [0] * len(journal.accounts)
        ready = deque(one for one in journal.transactions if not one.legs)

        def reach(account):
            if heads[account] < len(journal.chains[account]):
                head = journal.chains[account][heads[account]]
                missing[head.id] -= 1
                if missing[head.id] == 0:
                    ready.append(head)

        for account in range(len(journal.accounts)):
            reach(account)
        while ready:
            transaction = ready.popleft()
            yield transaction
            for leg in transaction.legs:
                heads[leg.account] += 1
                reach(leg.account)

    def _apply(self, transaction, leg, posted):
        account = self.journal.accounts[leg.account]
        place = f"account {account.id} seq {leg.seq} transaction {transaction.id}"
        if leg.seq != len(self.after[leg.account]) + 1:
            self.report.add("INV4 sequence", place, len(self.after[leg.account]) + 1, leg.seq)
        posted[leg.account] += leg.amount
        if leg.balance_after != posted[leg.account]:
            self.report.add("INV4 balance", place, posted[leg.account], leg.balance_after)
        own = account.sign * posted[leg.account]
        if account.floor is not None and own < account.floor:
            self.report.add("INV5 limit", place, f"at least {account.floor}", own)
        self.after[leg.account].append(own)

    # ---- real time ----

    def time(self, rule):
        """Fills lower and upper of every transaction from begun and known."""
        chains, at = self.journal.chains, [0] * len(self.journal.accounts)
        latest = [(ALWAYS, None)] * len(chains)
        for transaction in self.sorted:
            lower = (ALWAYS if transaction.begun is None else transaction.begun, transaction)
            for leg in transaction.legs:
                lower = max(lower, latest[leg.account], key=lambda pair: pair[0])
            for leg in transaction.legs:
                latest[leg.account] = lower
                at[leg.account] += 1
            transaction.lower = lower[0]
            if transaction.known is not None and lower[0] > transaction.known:
                self.report.add(
                    rule, f"transaction {transaction.id} key {transaction.key}",
                    f"to come after {lower[1].id} key {lower[1].key}, which was not begun before "
                    f"{lower[0]}", f"that it was known at {transaction.known}")
        earliest = [NEVER] * len(chains)
        for transaction in reversed(self.sorted):
            upper = NEVER if transaction.known is None else transaction.known
            for leg in transaction.legs:
                upper = min(upper, earliest[leg.account])
            for leg in transaction.legs:
                earliest[leg.account] = upper
            transaction.upper = upper
        self.lowers = [[one.lower or ALWAYS for one in chain] for chain in chains]
        self.uppers = [[NEVER if one.upper is None else one.upper for one in chain]
                       for chain in chains]

    def states(self, account, begin, end):
        """The numbers of entries (first, last) that the account may have had at some moment of
        [begin, end]: state n began when entry n was committed, and ended when entry n + 1 was."""
        first = bisect_left(self.uppers[account], begin)
        last = bisect_right(self.lowers[account], end)
        return first, min(last, len(self.after[account]))

    def balance(self, account, entries):
        return self.after[account][entries - 1] if entries > 0 else 0
