"""What the clients ask for: few accounts, in the shapes that hurt (reliability.md L-12).

    hot      one account in half of all transfers
    ring     A -> B -> C -> A, with little money
    pair     two accounts that pay each other
    drain    two accounts around zero that give away one unit at a time
    own      three accounts of one user, whose list is read as a whole
    others   a dollar and a yen account

A poisoned amount is refused by a trigger of the rig's database, a moody one is refused now and then
with a serialization failure or a deadlock; see world.py.
"""

import bisect
import itertools
import json
import random
from collections import deque

from rig.history import NOBODY, Account, Request, minor_text

POISON_MINOR = 66613
MOODY_MINOR = 77713

# (user, currency, decimals, opening balance in minor units)
ACCOUNTS = (
    (0, "RUB", 2, 100_000_000),
    (1, "RUB", 2, 200_000), (2, "RUB", 2, 200_000), (3, "RUB", 2, 200_000),
    (4, "RUB", 2, 50_000), (5, "RUB", 2, 50_000),
    (6, "RUB", 2, 20), (6, "RUB", 2, 20),
    (7, "RUB", 2, 100_000), (7, "RUB", 2, 100_000), (7, "RUB", 2, 100_000),
    (7, "USD", 2, 10_000),
    (3, "JPY", 0, 10_000),
)
USERS = 1 + max(user for user, *_ in ACCOUNTS)
HOT, RING, PAIR, DRAIN, OWN = 0, (1, 2, 3), (4, 5), (6, 7), (8, 9, 10)
RUBLES = [number for number, (_, currency, *_) in enumerate(ACCOUNTS) if currency == "RUB"]

RECENT_KEYS = 4000
ZIPF = list(itertools.accumulate(1 / (rank + 1) ** 0.99 for rank in range(RECENT_KEYS)))

WEIGHTS = {
    "money": 46, "twin": 3, "batch": 6, "poison": 0.4, "moody": 0.6, "invalid": 1,
    "replay": 9, "changed": 4, "replay_batch": 1, "balance": 12, "accounts": 4, "history": 10,
    "transaction": 3,
}
MONEY_WEIGHTS = {"hot_in": 16, "hot_out": 8, "ring": 14, "pair": 14, "own": 8, "drain": 14,
                 "deposit": 13, "withdraw": 13}


class Shapes:
    """Draws operations. An operation is the record of history.py without number, time and place."""

    def __init__(self, setup, seed, only=None):
        self.setup = setup
        self.random = random.Random(seed)
        self.mark = f"f{seed & 0xffffffff:08x}"
        self.numbers = itertools.count(1)
        self.recent = deque(maxlen=RECENT_KEYS)  # (user, key, Request), the newest first
        self.recent_batches = deque(maxlen=200)
        self.recent_transactions = deque(maxlen=500)  # (user, id)
        weights = WEIGHTS if only is None else {**dict.fromkeys(WEIGHTS, 0), **only}
        self.kinds = [kind for kind, weight in weights.items() if weight > 0]
        self.weights = [weights[kind] for kind in self.kinds]

    def new_key(self):
        return f"{self.mark}-{next(self.numbers)}"

    def draw(self):
        """(kind, operation)."""
        kind, = self.random.choices(self.kinds, self.weights)
        operation = getattr(self, kind)()
        return (kind, operation) if operation is not None else self.draw()

    # ---- money ----

    def request(self):
        draw = self.random.randint
        kind, = self.random.choices(list(MONEY_WEIGHTS), list(MONEY_WEIGHTS.values()))
        if kind == "hot_in":
            return Request("transfer", self.random.choice(RING + PAIR + OWN), HOT, draw(1, 300))
        if kind == "hot_out":
            return Request("transfer", HOT, self.random.choice(RING + PAIR + OWN), draw(1, 900))
        if kind == "ring":
            at = draw(0, 2)
            return Request("transfer", RING[at], RING[(at + 1) % 3], draw(1, 5000))
        if kind == "pair":
            at = draw(0, 1)
            return Request("transfer", PAIR[at], PAIR[1 - at], draw(1, 3000))
        if kind == "own":
            return Request("transfer", *self.random.sample(OWN, 2), draw(1, 4000))
        if kind == "drain":
            account, shape = self.random.choice(DRAIN), draw(0, 9)
            if shape < 4:
                return Request("withdraw", account, None, 1)
            if shape < 6:
                return Request("transfer", account, DRAIN[0] + DRAIN[1] - account, 1)
            return Request("deposit", account, None, 1)
        account = draw(0, len(ACCOUNTS) - 1)
        while account in DRAIN:
            account = draw(0, len(ACCOUNTS) - 1)
        return Request(kind, account, None, draw(1, 3000))

    def user_of(self, request):
        return self.setup.accounts[request.own].user if request.own != NOBODY else 0

    def single(self, user, key, request, form=None):
        form = form or self.random.choice(("header",) * 5 + ("body",) * 4 + ("both",))
        return {"op": "money", "u": user, "key": key, "q": list(request), "form": form,
                "v": self.random.randrange(3)}

    def money(self):
        return self.new_single(self.request())

    twin = money

    def new_single(self, request, user=None):
        user = self.user_of(request) if user is None else user
        key = self.new_key()
        self.recent.appendleft((user, key, request))
        return self.single(user, key, request)

    def poison(self):
        return self.new_single(Request("deposit", self.random.choice(RUBLES), None, POISON_MINOR))

    def moody(self):
        return self.new_single(Request("deposit", HOT, None, MOODY_MINOR))

    def invalid(self):
        """Refused whatever the balances are."""
        pick = self.random.choice
        minor = self.random.randint(1, 500)
        user, request = pick((
            (1, Request("transfer", HOT, RING[0], minor)),
            (2, Request("deposit", PAIR[0], None, minor)),
            (4, Request("withdraw", HOT, None, minor)),
            (0, Request("transfer", HOT, HOT, minor)),
            (0, Request("transfer", HOT, NOBODY, minor)),
            (3, Request("deposit", NOBODY, None, minor)),
            (7, Request("transfer", 11, OWN[0], minor)),
        ))
        return self.new_single(request, user)

    def recent_one(self):
        count = len(self.recent)
        if count == 0:
            return None
        place = bisect.bisect(ZIPF, self.random.random() * ZIPF[count - 1])
        return self.recent[min(place, count - 1)]

    def replay(self):
        found = self.recent_one()
        return found and self.single(*found)

    def changed(self):
        """A recent key with another request of the same user."""
        found = self.recent_one()
        if not found:
            return None
        user, key, request = found
        if self.random.random() < 0.5:
            changed = request._replace(minor=request.minor + self.random.randint(1, 50))
        else:
            own = self.random.choice([number for number, account in enumerate(self.setup.accounts)
                                      if account.user == user])
            changed = Request(self.random.choice(("deposit", "withdraw")), own, None, request.minor)
        if changed == request or changed.minor in (POISON_MINOR, MOODY_MINOR):
            return None
        return self.single(user, key, changed)

    # ---- batches ----

    def batch(self):
        user = self.random.choice((0, 1, 3, 4, 6, 7))
        atomic = self.random.random() < 0.35
        items = []
        for _ in range(self.random.randint(2, 10)):
            request = self.request()
            while self.user_of(request) != user:
                request = self.request()
            items.append([self.new_key(), *request])
        one = self.random.choice(items)
        if atomic and self.random.random() < 0.3:
            one[1:] = ["withdraw", one[2], None, 10**12]  # nobody has that much
        elif self.random.random() < 0.03:
            one[1:] = ["deposit", self._account_of(user), None, POISON_MINOR]
        if not atomic:
            self._spice(user, items)
            for key, *request in items:
                if not any(key == found[1] for found in itertools.islice(self.recent, 20)):
                    self.recent.appendleft((user, key, Request(*request)))
        operation = {"op": "batch", "u": user, "atomic": atomic, "items": items}
        self.recent_batches.appendleft(operation)
        return operation

    def _account_of(self, user):
        return next(number for number, account in enumerate(self.setup.accounts)
                    if account.user == user and account.currency == "RUB")

    def _spice(self, user, items):
        """A key of before, and one twice in the same batch."""
        if self.random.random() < 0.2:
            found = self.recent_one()
            if found and found[0] == user:
                items.append([found[1], *found[2]])
        if self.random.random() < 0.2:
            items.append(list(self.random.choice(items)))

    def replay_batch(self):
        if not self.recent_batches:
            return None
        place = min(int(self.random.expovariate(0.2)), len(self.recent_batches) - 1)
        return dict(self.recent_batches[place])

    # ---- reads ----

    def _any_account(self):
        account = self.random.choices(range(len(ACCOUNTS)),
                                      [6] + [2] * (len(ACCOUNTS) - 1))[0]
        return account, self.setup.accounts[account].user

    def balance(self):
        account, user = self._any_account()
        return {"op": "balance", "u": user, "a": account}

    def accounts(self):
        return {"op": "accounts", "u": self.random.choice((7, 7, 6, 3))}

    def history(self):
        account, user = self._any_account()
        operation = {"op": "history", "u": user, "a": account, "limit": self.random.randint(1, 8)}
        shape = self.random.random()
        if shape < 0.25:
            operation["offset"] = self.random.choice((1, 2, 5, 20, 200))
        elif shape < 0.4:
            operation["cursor"] = self.random.choice((1, 2, 5, 20, 200))
        return operation

    def transaction(self):
        if not self.recent_transactions:
            return None
        user, transaction = self.random.choice(self.recent_transactions)
        return {"op": "transaction", "u": user, "id": transaction}


# ---- as HTTP ----


def amount_json(minor, decimals, variant):
    """The same amount in several clothes: "12.50", "12.5", 12.50."""
    text = minor_text(minor, decimals)
    if variant == 1 and decimals:
        text = text.rstrip("0").rstrip(".")
    return text if variant == 2 else f'"{text}"'


def money_members(setup, request, variant):
    kind, own, other, minor = request
    decimals = setup.accounts[own].decimals if own != NOBODY else 2
    amount = amount_json(minor, decimals, variant)
    if kind == "transfer":
        return (f'"from_account_id":"{setup.account_id(own)}",'
                f'"to_account_id":"{setup.account_id(other)}","amount":{amount}')
    return f'"account_id":"{setup.account_id(own)}","amount":{amount}'


def encode(setup, operation, token):
    """The bytes of the HTTP request."""
    headers = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
    kind = operation["op"]
    if kind == "money":
        request, form = Request(*operation["q"]), operation["form"]
        body = money_members(setup, request, operation.get("v", 0))
        if form != "body":
            headers += f"Idempotency-Key: {operation['key']}\r\n"
        if form != "header":
            body += f',"idempotency_key":"{operation["key"]}"'
        return _post(f"/wallet/{request.kind}", headers, "{" + body + "}")
    if kind == "batch":
        items = ",".join(
            f'{{"type":"{item[1]}",{money_members(setup, Request(*item[1:]), 0)},'
            f'"idempotency_key":"{item[0]}"}}' for item in operation["items"])
        atomic = json.dumps(operation["atomic"])
        return _post("/wallet/batch", headers, f'{{"atomic":{atomic},"operations":[{items}]}}')
    path = "/wallet/accounts"
    if kind == "balance":
        path += f"/{setup.account_id(operation['a'])}"
    elif kind == "history":
        path += f"/{setup.account_id(operation['a'])}/transactions?limit={operation['limit']}"
        for name in ("offset", "cursor"):
            if name in operation:
                path += f"&{name}={operation[name]}"
    elif kind == "transaction":
        path = f"/wallet/transactions/{operation['id']}"
    return f"GET {path} HTTP/1.1\r\n{headers}\r\n".encode()


def _post(path, headers, body):
    return (f"POST {path} HTTP/1.1\r\n{headers}Content-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def opened(user_ids, account_ids):
    """The accounts of this module with the ids that the service gave them."""
    return [Account(account_ids[number], user, currency, decimals)
            for number, (user, currency, decimals, _) in enumerate(ACCOUNTS)]
