#!/usr/bin/env python3
"""A million postings (500,000 transactions) by the running wallet_api, and what hledger, ledger and
beancount say about them.

    /usr/bin/python3 tests/bench/million.py [--transactions N] [--seed S] [--rounds N] [--folder DIR]

Customers with accounts in five currencies (0, 2, 3, 8 and 18 decimals) post by POST /wallet/batch:
deposits, transfers, withdrawals; an operator reverses a transaction after every batch. A model keeps
every balance beside. Then:

  - ledger_report check --full finds nothing;
  - hledger check -s ordereddates, ledger --strict --pedantic and bean-check accept the exports;
  - the balances that these programs come to, the trial balance and the model are equal, to the last
    minor unit, account by account;
  - every format is exported several times in turn with COPY of the entries (psql): medians, ratios,
    and the tool's most memory;
  - pages of the statement of the longest account are asked for, at its begin, middle and end.

Ends with 1 when something differs, when an export takes more than 3 times the COPY or 64 MiB, or when
a page takes 50 ms. Everything is on a private PostgreSQL, and in a temporary folder that is removed.
Most of the time is that of the three programs; hledger takes 5 GiB of memory for a million postings.
"""

import argparse
import functools
import http.client
import json
import random
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "api"))

from stage import SECRET, Server  # noqa: E402
from support import plain_text  # noqa: E402
from support.books import CURRENCIES, make_currencies, text_of  # noqa: E402
from support.databases import Databases  # noqa: E402
from support.service import Service, base_environment  # noqa: E402
from support.settings import binary  # noqa: E402
from support.tokens import access_token  # noqa: E402

FORMATS = (*plain_text.PLAIN, "csv", "jsonl")
BATCH = 1000
CUSTOMERS = 4
ACCOUNTS = 50  # of a customer in one currency
RATIO_MAX, MEMORY_MAX_MIB, PAGE_MAX_MS = 3.0, 64, 50
PROGRAM_TIMEOUT_S = 7200


class Client:
    def __init__(self, port, **claims):
        self.port = port
        self.headers = {"Authorization": "Bearer " + access_token(uuid.uuid4(), SECRET, 24 * 3600, **claims),
                        "Content-Type": "application/json"}
        self.connection = None

    def call(self, method, path, body=None):
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        self.connection.request(method, path, None if body is None else json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)


class Customer(threading.Thread):
    """Posts batches; knows what every account must have, so nothing is refused."""

    def __init__(self, port, number, seed, transactions):
        super().__init__()
        self.random = random.Random(f"{seed}/{number}")
        self.client, self.operator = Client(port), Client(port, roles=["operator"])
        self.number, self.left = number, transactions
        self.balances = {}  # account: minor units
        self.settled = defaultdict(int)
        self.kinds = defaultdict(int)
        self.error = None
        self.accounts = {currency: [self.client.call("POST", "/wallet/accounts", {"currency": currency})["id"]
                                    for _ in range(ACCOUNTS)] for currency in CURRENCIES}
        for accounts in self.accounts.values():
            self.balances.update(dict.fromkeys(accounts, 0))

    def draw(self, place):
        """(operation, its currency, its minor units)"""
        currency = self.random.choice(list(CURRENCIES))
        account = self.random.choice(self.accounts[currency])
        kind = self.random.choices(("deposit", "transfer", "withdraw"), (4, 4, 2))[0]
        minor = self.random.randint(1, 10 ** (CURRENCIES[currency] + 3))
        if kind != "deposit":
            minor = min(minor, self.balances[account])
        if minor == 0:
            kind, minor = "deposit", self.random.randint(1, 10 ** (CURRENCIES[currency] + 3))
        operation = {"type": kind, "amount": text_of(Decimal(minor).scaleb(-CURRENCIES[currency]),
                                                     CURRENCIES[currency]),
                     "idempotency_key": f"customer-{self.number}-{place}"}
        if kind == "transfer":
            other = self.random.choice([a for a in self.accounts[currency] if a != account])
            operation.update(from_account_id=account, to_account_id=other)
            self.move(account, -minor)
            self.move(other, minor)
        else:
            operation["account_id"] = account
            self.move(account, minor if kind == "deposit" else -minor)
            self.settled[currency] += minor if kind == "deposit" else -minor
        self.kinds[kind] += 1
        return operation, currency, minor

    def move(self, account, minor):
        self.balances[account] += minor

    def reverse(self, drawn, results):
        """The batch's last deposit whose account still has the money."""
        for (operation, currency, minor), result in zip(reversed(drawn), reversed(results)):
            account = operation.get("account_id")
            if operation["type"] == "deposit" and self.balances[account] >= minor:
                self.operator.call("POST", f"/wallet/transactions/{result['transaction']}/reverse",
                                   {"reason": "a mistake; = \"second\" thoughts | % ü",
                                    "idempotency_key": str(uuid.uuid4())})
                self.move(account, -minor)
                self.settled[currency] -= minor
                self.kinds["reversal"] += 1
                self.left -= 1
                return

    def post(self):
        place = 0
        while self.left > 0:
            drawn = [self.draw(place + i) for i in range(min(BATCH, self.left))]
            place += len(drawn)
            self.left -= len(drawn)
            answer = self.client.call("POST", "/wallet/batch", {"operations": [one[0] for one in drawn]})
            if answer["refused"]:
                raise RuntimeError(next(one for one in answer["results"] if one["status"] != 200))
            if self.left > 0:
                self.reverse(drawn, answer["results"])

    def run(self):
        try:
            self.post()
        except Exception as error:  # told by whoever joins
            self.error = error


class Findings:
    def __init__(self):
        self.bad = []

    def hold(self, holds, text):
        if not holds:
            self.bad.append(text)
            print(f"FAILED: {text}", flush=True)


def post_all(service, seed, transactions):
    """{code: (currency, balance seen from the ledger's debit side)}: the model of the books."""
    customers = [Customer(service.port, number, seed, transactions // CUSTOMERS) for number in range(CUSTOMERS)]
    begun = time.monotonic()
    for customer in customers:
        customer.start()
    for customer in customers:
        customer.join()
        if customer.error is not None:
            raise customer.error
    seconds = time.monotonic() - begun
    model, kinds = {}, defaultdict(int)
    for customer in customers:
        for currency, accounts in customer.accounts.items():
            for account in accounts:
                model[f"liabilities:wallets:{account}", currency] = -customer.balances[account]
        for currency, minor in customer.settled.items():
            key = (f"assets:settlement:{currency}", currency)
            model[key] = model.get(key, 0) + minor
        for kind, count in customer.kinds.items():
            kinds[kind] += count
    print(f"{sum(kinds.values())} transactions ({', '.join(f'{n} {k}' for k, n in sorted(kinds.items()))}) "
          f"in {seconds:.0f} s", flush=True)
    return {key: Decimal(minor).scaleb(-CURRENCIES[key[1]]) for key, minor in model.items() if minor}


def timed(command, environment, output):
    """Seconds, and the most memory in MiB (asked often: what the kernel tells at the end is also that of
    the process which this one was before it became the command)."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env=environment, stdout=output, cwd=tempfile.gettempdir())
    peak_mib = 0.0
    while process.poll() is None:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        peak_mib = max(peak_mib, int(found.group(1)) / 1024 if found else 0)
        time.sleep(0.005)
    if process.returncode != 0:
        raise RuntimeError(f"{command}: exit status {process.returncode}")
    return time.monotonic() - begun, peak_mib


def trial_balance(environment, to):
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=to)
    run = subprocess.run([binary("ledger_report"), "trial-balance", "--depth", "0", "--format", "json",
                          "--as-of", at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")], env=environment,
                         capture_output=True, check=True, timeout=600)
    return {(line["code"], line["currency"]): Decimal(line["balance"])
            for line in json.loads(run.stdout)["lines"] if Decimal(line["balance"]) != 0}


def compare(name, theirs, ours, findings):
    wrong = [key for key in theirs.keys() | ours.keys() if theirs.get(key) != ours.get(key)]
    findings.hold(not wrong, f"{name}: {len(wrong)} balances differ, the first: "
                             f"{[(key, theirs.get(key), ours.get(key)) for key in wrong[:1]]}")
    print(f"  {name}: {len(theirs)} balances, {'equal' if not wrong else 'DIFFERENT'}", flush=True)


def export_all(environment, folder):
    """The manifest of the first one, whose range the others have."""
    span, manifest = (), None
    for name in FORMATS[:3]:
        with open(folder / f"books.{name}", "wb") as file:
            timed([binary("ledger_report"), "export", "--format", name, "--manifest",
                   str(folder / f"{name}.json"), *span], environment, file)
        manifest = json.loads((folder / f"{name}.json").read_text())
        span = ("--from", str(manifest["from"]), "--to", str(manifest["to"]))
        print(f"  {name}: {manifest['transactions']} transactions, {manifest['entries']} postings, "
              f"{manifest['bytes'] / 1e6:.0f} MB", flush=True)
    return manifest


def ask_programs(folder, ours, findings):
    for name in plain_text.PLAIN:
        path = folder / f"books.{name}"
        checks = functools.partial(plain_text.accept, name)
        for what, act in (("check", checks), ("balances", plain_text.BALANCES[name])):
            begun = time.monotonic()
            try:
                answer = act(path, PROGRAM_TIMEOUT_S)
            except (AssertionError, subprocess.SubprocessError) as error:
                findings.hold(False, f"{name} {what}: {error}")
                continue
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
            print(f"  {name} {what}: {time.monotonic() - begun:.0f} s, "
                  f"at most {peak:.0f} MiB until now", flush=True)
            if answer is not None:
                compare(name, answer, ours, findings)
        path.unlink()


def race(environment, client_environment, database, manifest, rounds, findings):
    """Exports and COPY in turn."""
    span = ("--from", str(manifest["from"]), "--to", str(manifest["to"]))
    seconds, memory = defaultdict(list), defaultdict(float)
    for _ in range(rounds):
        taken, _ = timed(["psql", "-XqAt", "-d", database.name, "-c", "COPY ledger.entry TO STDOUT"],
                         client_environment, subprocess.DEVNULL)
        seconds["COPY"].append(taken)
        for name in FORMATS:
            taken, peak = timed([binary("ledger_report"), "export", "--format", name, *span], environment,
                                subprocess.DEVNULL)
            seconds[name].append(taken)
            memory[name] = max(memory[name], peak)
    copy = statistics.median(seconds["COPY"])
    print(f"  COPY of the entries: median {copy:.2f} s")
    for name in FORMATS:
        median = statistics.median(seconds[name])
        print(f"  {name}: median {median:.2f} s, {median / copy:.2f} x, {memory[name]:.0f} MiB", flush=True)
        findings.hold(median <= RATIO_MAX * copy, f"{name}: {median / copy:.2f} times the COPY")
        findings.hold(memory[name] < MEMORY_MAX_MIB, f"{name}: {memory[name]:.0f} MiB")


def turn_pages(service, database, findings):
    """Pages of the longest account, as an auditor sees them."""
    code, entries = database.query(
        "SELECT a.code, b.entries FROM ledger.balance b JOIN ledger.account a ON a.ledger_id = b.ledger_id"
        " AND a.id = b.account_id ORDER BY b.entries DESC LIMIT 1")[0]
    auditor = Client(service.port, roles=["auditor"])
    for after in (0, entries // 2, entries - 100):
        taken = []
        for _ in range(7):
            begun = time.monotonic()
            answer = auditor.call("GET", f"/reports/statement?account={code}&limit=100&after={after}")
            taken.append(time.monotonic() - begun)
            findings.hold(answer["lines"][0]["line"] == after + 1, f"statement after {after}: another line")
        median_ms = statistics.median(taken) * 1000
        print(f"  {code}, 100 lines after {after} of {entries}: median {median_ms:.1f} ms", flush=True)
        findings.hold(median_ms < PAGE_MAX_MS, f"a page of the statement takes {median_ms:.0f} ms")


def run(arguments, server, folder, findings):
    database = Databases(server).copy("wallet")
    make_currencies(database)
    service = Service("wallet_api", {**database.environment(), "JWT_SECRET": SECRET}, folder).start()
    try:
        model = post_all(service, arguments.seed, arguments.transactions)
        database.execute("VACUUM ANALYZE")
        environment = {**base_environment(), **database.environment()}
        took, _ = timed([binary("ledger_report"), "check", "--full"], environment, subprocess.DEVNULL)
        print(f"ledger_report check --full: nothing found, {took:.1f} s\nexports:", flush=True)
        manifest = export_all(environment, folder)
        ours = trial_balance(environment, manifest["to"])
        print("the trial balance against the model:")
        compare("model", model, ours, findings)
        print("pages of a statement:")
        turn_pages(service, database, findings)
        print(f"exports and COPY in turn, {arguments.rounds} rounds:")
        race(environment, server.client_environment(), database, manifest, arguments.rounds, findings)
        print("the three programs:")
        ask_programs(folder, ours, findings)
    finally:
        service.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--transactions", type=int, default=500_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10 ** 9))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", help="where the exports go meanwhile (the temporary folder)")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    findings = Findings()
    folder = Path(tempfile.mkdtemp(prefix="pacioli-million-", dir=arguments.folder))
    server = Server()
    try:
        run(arguments, server, folder, findings)
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(findings.bad)} findings")
    return 1 if findings.bad else 0


if __name__ == "__main__":
    sys.exit(main())
