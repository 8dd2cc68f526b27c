"""Books of a wallet_api that a test has for itself, and a model of them made of the API's answers."""

import random
import re
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from support.api import User, assert_ok, http_client
from support.service import base_environment
from support.settings import REPO, binary, scaled
from support.tokens import access_token

CURRENCIES = {"JPY": 0, "RUB": 2, "BHD": 3, "BTC": 8, "ETH": 18}


def text_of(amount, decimals):
    return f"{amount:.{decimals}f}"


def moment(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def moment_text(time):
    return time.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True)
class Movement:
    """One line of a customer's history, as the API tells it."""

    transaction: str
    account: str
    currency: str
    kind: str
    amount: Decimal
    at: datetime
    line: int


def make_currencies(database):
    """Two of the five are not of ISO 4217: the owner makes them."""
    for code in ("BTC", "ETH"):
        database.execute("SET ROLE wallet_owner")
        database.execute("SELECT ledger.create_asset(id, %s, %s) FROM ledger.ledger"
                         " WHERE name = 'main'", (code, CURRENCIES[code]))


class Reader:
    """An auditor."""

    def __init__(self, service, secret, roles=("auditor",)):
        token = access_token("7b0b6c1e-4f7e-4b55-8d0e-2f4f5b1f9a10", secret, roles=list(roles))
        self.http = http_client(service, headers={"Authorization": f"Bearer {token}"})

    def get(self, report, **query):
        query = {name.rstrip("_"): value for name, value in query.items() if value is not None}
        return self.http.get(f"/reports/{report}", params=query)

    def report(self, report, **query):
        return assert_ok(self.get(report, **query))

    def pages(self, report, limit, **query):
        """All lines, page by page; the last page's answer."""
        lines, after = [], None
        while True:
            answer = self.report(report, limit=limit, after=after, **query)
            lines += answer["lines"]
            after = answer["next"]
            if after is None:
                return lines, answer


class Books:
    """Customers in five currencies, and what happened on their accounts."""

    def __init__(self, service, secret, seed):
        self.random = random.Random(seed)
        self.users = [User(service, secret) for _ in range(3)]
        self.accounts = {}
        for user in self.users:
            for currency in CURRENCIES:
                self.accounts[user.account(currency=currency)] = (user, currency)

    def amount(self, currency):
        decimals = CURRENCIES[currency]
        return text_of(Decimal(self.random.randint(1, 10 ** min(decimals + 4, 15)))
                       / 10 ** decimals, decimals)

    def happen(self, count):
        """Deposits, withdrawals and transfers; some are refused."""
        accounts = list(self.accounts)
        for _ in range(count):
            account = self.random.choice(accounts)
            user, currency = self.accounts[account]
            if self.random.random() < 0.5:
                assert_ok(user.deposit(account, self.amount(currency)))
            elif self.random.random() < 0.5:
                user.withdraw(account, self.amount(currency))
            else:
                others = [other for other, (_, of) in self.accounts.items()
                          if of == currency and other != account]
                user.transfer(account, self.random.choice(others), self.amount(currency))

    def movements(self):
        found = []
        for account, (user, currency) in self.accounts.items():
            for line, row in enumerate(user.rows(account), 1):
                found.append(Movement(row["id"], account, currency, row["type"],
                                      Decimal(row["amount"]), moment(row["created_at"]), line))
        return found

    def close(self):
        for user in self.users:
            user.http.close()


def times_to_ask(movements, count, source):
    """Moments in between, and exactly at a booking, which they do not include."""
    times = sorted({movement.at for movement in movements})
    chosen = [times[0], times[-1], times[-1] + timedelta(microseconds=1)]
    while len(chosen) < count:
        at = source.choice(times)
        chosen.append(at + timedelta(microseconds=source.choice([-1, 0, 1, 700])))
    return chosen


def trial_balance(movements, before):
    """{currency: (what customers have, account by account)} of the movements before a moment."""
    balances = defaultdict(lambda: defaultdict(Decimal))
    for movement in movements:
        if movement.at < before:
            balances[movement.currency][movement.account] += movement.amount
    return balances


def run_tool(database, *arguments, **environment):
    with tempfile.TemporaryDirectory(prefix="pacioli-cwd-") as folder:
        return subprocess.run(
            [binary("ledger_report"), *arguments], cwd=folder, capture_output=True,
            env={**base_environment(), **database.environment(), **environment},
            timeout=scaled(60))


def sql_of(report, *before):
    """The statement of a report as the build makes it: its files without their comments."""
    text = "\n".join((REPO / "reports" / "sql" / f"{name}.sql").read_text()
                     for name in ("common", *before, report))
    return re.sub(r"^ *--.*$", "", text, flags=re.MULTILINE)
