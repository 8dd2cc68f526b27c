#!/usr/bin/env python3
"""Reports while 64 clients post: every report balances, and the writers lose at most a tenth.

    /usr/bin/python3 tests/bench/reports.py [--rounds N] [--seconds N] ...

A round is the same load twice, once with an auditor who asks for one report after the other, all
kinds in turn, at the present and at moments of a few seconds ago, once without; the order changes
from round to round. Every answer is checked: sides equal, running balances right. Ends with 1 when
the median ratio misses the goal, or when a report does not balance.
"""

import argparse
import http.client
import json
import statistics
import sys
import threading
import time
import uuid
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "api"))

from run import run_wrk  # noqa: E402
from stage import SECRET, Server, Stage  # noqa: E402
from support.databases import Databases  # noqa: E402
from support.tokens import access_token  # noqa: E402

GOAL = 0.90
CONNECTIONS = 64


def ago(seconds):
    return (datetime.now(timezone.utc) - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def equal_sides(answer):
    return all(row["debit"] == row["credit"] for row in answer["totals"]) and answer["totals"]


def assets_are_claims(answer):
    return all(row["assets"] == row["claims"] for row in answer["totals"]) and answer["totals"]


def transactions_balance(answer):
    sums = defaultdict(Decimal)
    for row in answer["lines"]:
        sums[row["transaction_id"]] += Decimal(row["debit"] or 0) - Decimal(row["credit"] or 0)
    return not any(sums.values())


def balances_run(answer):
    lines = answer["lines"]
    return all(Decimal(after["balance"]) == Decimal(before["balance"]) + Decimal(after["amount"])
               for before, after in zip(lines, lines[1:]))


def has_totals(answer):
    return bool(answer["totals"])


def anything(_):
    return True


def questions(account):
    """(path, what must hold of the answer), all kinds."""
    return [
        ("trial-balance", equal_sides),
        (f"trial-balance?as_of={ago(2)}", equal_sides),
        ("balance-sheet", assets_are_claims),
        (f"balance-sheet?as_of={ago(3)}", assets_are_claims),
        ("customer-balances?limit=100", has_totals),
        (f"journal?from={ago(3)}&to={ago(2)}&limit=100", transactions_balance),
        (f"statement?account={account}&limit=100", balances_run),
        ("statement?account=assets:settlement:RUB&limit=100", balances_run),
        (f"daily-movement?from={ago(4)}&to={ago(2)}", equal_sides),
        ("accounts", has_totals),
        (f"income-statement?from={ago(4)}&to={ago(2)}", anything),
    ]


class Auditor(threading.Thread):
    """Asks until told to stop."""

    def __init__(self, stage, pause):
        super().__init__()
        self.stage, self.pause = stage, pause
        self.token = access_token(uuid.uuid4(), SECRET, roles=["auditor"])
        self.times = defaultdict(list)
        self.wrong = []
        self.over = threading.Event()

    def ask(self, connection, path, holds):
        begun = time.monotonic()
        connection.request("GET", f"/reports/{path}",
                           headers={"Authorization": f"Bearer {self.token}"})
        response = connection.getresponse()
        body = response.read()
        self.times[path.partition("?")[0] + ("" if "?" not in path else " ?")].append(
            time.monotonic() - begun)
        if response.status != 200:
            self.wrong.append(f"{path}: {response.status} {body[:200]!r}")
        elif not holds(json.loads(body)):
            self.wrong.append(f"{path}: does not balance: {body[:500]!r}")

    def run(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.stage.service.port, timeout=30)
        while True:
            for number in range(len(questions(""))):
                if self.over.wait(self.pause):
                    return
                self.ask(connection, *questions(self.stage.accounts[0])[number])


def measure(stage, seconds, tag, pause):
    """(postings per second, the auditor or None)."""
    auditor = None
    if pause is not None:
        auditor = Auditor(stage, pause)
        auditor.start()
    try:
        rate = run_wrk(stage, "uniform", CONNECTIONS, 1, seconds, tag)["rate"]
    finally:
        if auditor is not None:
            auditor.over.set()
            auditor.join()
    return rate, auditor


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--accounts", type=int, default=10000)
    parser.add_argument("--entries", type=int, default=0, help="fill the journal up to so many")
    parser.add_argument("--pause", type=float, default=0.5, help="between two reports, in seconds")
    arguments = parser.parse_args()
    server = Server()
    stage = None
    try:
        stage = Stage(server, Databases(server), arguments.accounts)
        if arguments.entries:
            stage.grow(arguments.entries)
        measure(stage, 3, "warm", None)
        ratios, rates, wrong, times = [], defaultdict(list), [], defaultdict(list)
        for number in range(arguments.rounds):
            pauses = [None, arguments.pause]
            for pause in pauses if number % 2 == 0 else pauses[::-1]:
                rate, auditor = measure(stage, arguments.seconds, f"{number}{pause}", pause)
                rates[pause is not None].append(rate)
                if auditor is not None:
                    wrong += auditor.wrong
                    for name, taken in auditor.times.items():
                        times[name] += taken
            ratios.append(rates[True][-1] / rates[False][-1])
            print(f"round {number + 1}: {rates[False][-1]:.0f} postings/s without reports, "
                  f"{rates[True][-1]:.0f} with them: {ratios[-1]:.3f}", flush=True)
        stage.check_snapshots()
    finally:
        if stage is not None:
            stage.service.stop()
        server.stop()
    for name, taken in sorted(times.items()):
        print(f"  {name:22} {len(taken):4} answers, median {statistics.median(taken) * 1000:7.1f} ms,"
              f" slowest {max(taken) * 1000:7.1f} ms")
    ratio = statistics.median(ratios)
    count = sum(map(len, times.values()))
    print(f"{count} reports, {len(wrong)} wrong; ratio {ratio:.3f} (goal: at least {GOAL})")
    for text in wrong[:10]:
        print(text)
    return 0 if ratio >= GOAL and not wrong and count else 1


if __name__ == "__main__":
    sys.exit(main())
