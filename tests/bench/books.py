#!/usr/bin/env python3
"""What it costs to prove, to export and to report the books, against PostgreSQL's own reading of them.

    TEST_BUILD_DIR=build/release /usr/bin/python3 tests/bench/books.py [--entries N] ...

A journal is filled with valid entries, then every task runs once a round, in turn, after one round
that does not count. Medians: `ledger_report check --full` against `SELECT sum(amount)` over the same
entries, each export against `COPY ledger.entry TO STDOUT`, the trial balance against itself when the
journal had a tenth of the entries, and the most memory that the tool had. Ends with 1 when a goal is
missed.

Processor time is that of server and tool together: on a machine that others use, too, its ratios say more than
those of the clock, by which the goals are judged."""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "api"))

from stage import Server, Stage  # noqa: E402
from support.databases import Databases  # noqa: E402
from support.service import base_environment  # noqa: E402
from support.settings import binary  # noqa: E402

FORMATS = ("hledger", "ledger", "beancount", "csv", "jsonl")
BEFORE = "trial balance, a tenth"
RATIO_GOAL = 3.0
TRIAL_BALANCE_GOAL = 1.2
MEMORY_GOAL_MIB = 64
POLL_S = 0.01

SUM = "SELECT sum(amount) FROM ledger.entry"
COPY = "COPY ledger.entry TO STDOUT"
COPY_JOINED = ("COPY (SELECT t.*, e.account_id, e.seq, e.amount, e.balance_after FROM ledger.entry e"
               " JOIN ledger.transaction t ON t.ledger_id = e.ledger_id AND t.id = e.transaction_id)"
               " TO STDOUT")


def memory_peak_mib(pid):
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.MULTILINE)  # a process that ended has none
    return int(found.group(1)) / 1024 if found else 0.0


class ProcessorTime:
    """Seconds that the server's processes, living and ended, and our own children have used."""

    def __init__(self, server):
        self.postmaster = int((server.folder / "postgres/data/postmaster.pid").read_text().split()[0])

    @staticmethod
    def fields(pid):
        """From the state on: what stands behind the name in parentheses."""
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()

    def living(self):
        ticks = 0
        for path in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):
                found = self.fields(path.parent.name)
                if int(found[1]) == self.postmaster:
                    ticks += sum(map(int, found[11:13]))
        return ticks

    def now(self):
        while True:
            ended = self.fields(self.postmaster)[11:15]  # of the postmaster, and of its children that have ended
            ticks = self.living() + sum(map(int, ended))
            if self.fields(self.postmaster)[13:15] == ended[2:]:  # nobody went from the one sum to the other
                break
        times = os.times()
        return ticks / os.sysconf("SC_CLK_TCK") + times.children_user + times.children_system


def run_process(command, environment):
    """Seconds, and the most memory it was seen to have; its output goes nowhere."""
    begun = time.monotonic()
    process = subprocess.Popen(command, env=environment, cwd="/", stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak = 0.0
    while True:
        try:
            status = process.wait(POLL_S)
            break
        except subprocess.TimeoutExpired:
            peak = max(peak, memory_peak_mib(process.pid))
    took = time.monotonic() - begun
    if status != 0:
        raise RuntimeError(f"{command}: {status} {process.stderr.read()!r}")
    return took, peak


class Books:
    """The tasks; each returns (seconds, MiB of the client, 0 where it does not matter)."""

    def __init__(self, stage):
        self.stage = stage
        self.tool_environment = {**base_environment(), **stage.wallet.environment()}
        self.connection = stage.wallet.connect()

    def tool(self, *arguments):
        return run_process([binary("ledger_report"), *arguments], self.tool_environment)

    def sum(self):
        begun = time.monotonic()
        self.connection.execute(SUM).fetchall()
        return time.monotonic() - begun, 0.0

    def copy(self, statement):
        return run_process(["psql", "-X", "-q", "-d", self.stage.wallet.name, "-c", statement],
                           self.stage.server.client_environment())

    def tasks(self):
        yield "sum", self.sum
        yield "check", lambda: self.tool("check", "--full", "--no-record")
        yield "copy", lambda: self.copy(COPY)
        yield "copy, joined", lambda: self.copy(COPY_JOINED)
        for name in FORMATS:
            yield f"export {name}", lambda name=name: self.tool("export", "--format", name)
        yield "trial balance", self.trial_balance

    def trial_balance(self):
        return self.tool("trial-balance", "--format", "csv")


def measure(tasks, rounds, processor):
    """{task: [(seconds, MiB, processor seconds), ...]}; the round before the first fills the caches."""
    samples = {name: [] for name, _ in tasks}
    for number in range(rounds + 1):
        for name, task in tasks:
            begun = processor.now()
            sample = task()
            if number > 0:
                samples[name].append((*sample, processor.now() - begun))
        if number > 0:
            print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
    return samples


def summarise(samples):
    return {name: {"median_s": statistics.median(took for took, _, _ in taken),
                   "processor_s": statistics.median(used for _, _, used in taken),
                   "memory_mib": max(mib for _, mib, _ in taken)}
            for name, taken in samples.items()}


def verdict(what, measured, goal):
    by_clock, by_processor = measured
    return what, by_clock, goal, by_processor


def judge(found):
    """(what, measured, goal, the same by processor time or None) of everything that has a goal and was measured."""
    def ratio(name, base):
        by_clock, by_processor = (
            found[name][unit] / max(found[base][unit], 0.001) for unit in ("median_s", "processor_s"))
        return by_clock, by_processor

    for name in found:
        if name == "check" and "sum" in found:
            yield verdict("check --full / SELECT sum(amount)", ratio(name, "sum"), RATIO_GOAL)
        if name.startswith("export ") and "copy" in found:
            yield verdict(f"{name} / COPY entries", ratio(name, "copy"), RATIO_GOAL)
        if name == "trial balance" and BEFORE in found:
            yield verdict("trial balance / with a tenth of the entries", ratio(name, BEFORE), TRIAL_BALANCE_GOAL)
        if name.partition(" ")[0] in ("check", "export", "trial"):
            yield verdict(f"MiB of {name}", (found[name]["memory_mib"], None), MEMORY_GOAL_MIB)


def print_table(found, verdicts):
    print(f"{'task':24} {'median s':>10} {'processor s':>12} {'MiB':>7}")
    for name, row in found.items():
        print(f"{name:24} {row['median_s']:10.3f} {row['processor_s']:12.2f} {row['memory_mib']:7.1f}")
    print(f"\n{'goal':46} {'measured':>9} {'at most':>8}  by processor time")
    for what, measured, goal, by_processor in verdicts:
        print(f"{what:46} {measured:9.2f} {goal:8.1f}  {'' if by_processor is None else f'{by_processor:8.2f}':8}"
              f"{'' if measured <= goal else '   MISSED'}")


@contextlib.contextmanager
def one_stage(accounts):
    server, stage = Server(), None
    try:
        stage = Stage(server, Databases(server), accounts, THREADS="1")
        yield stage
    finally:
        if stage is not None:
            stage.service.stop()
        server.stop()


def hold(stage):
    print("held, until a line is entered:", flush=True)
    for name, value in {**stage.wallet.environment(), **{
            name: value for name, value in stage.server.client_environment().items()
            if name.startswith("PG")}}.items():
        print(f"export {name}={value}", flush=True)
    sys.stdin.readline()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=1_000_000, metavar="N",
                        help="entries of the journal (%(default)s)")
    parser.add_argument("--accounts", type=int, default=10_000, metavar="N", help="(%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="(%(default)s)")
    parser.add_argument("--only", metavar="NAMES",
                        help="tasks whose name contains one of these, separated by commas; sum and"
                             " copy are always measured")
    parser.add_argument("--json", metavar="FILE", help="write results and samples there too")
    parser.add_argument("--hold", action="store_true",
                        help="then leave the server running until a line is entered")
    arguments = parser.parse_args()
    only = arguments.only.split(",") if arguments.only else [""]

    with one_stage(arguments.accounts) as stage:
        books, processor = Books(stage), ProcessorTime(stage.server)
        tasks = [(name, task) for name, task in books.tasks()
                 if name in ("sum", "copy") or any(part in name for part in only)]
        stage.grow(arguments.entries // 10)
        before = {}
        if any(name == "trial balance" for name, _ in tasks):
            before = measure([(BEFORE, books.trial_balance)], arguments.rounds, processor)
        stage.grow(arguments.entries)
        entries = stage.wallet.query("SELECT count(*) FROM ledger.entry")[0][0]
        print(f"{entries} entries, {arguments.accounts} accounts, {arguments.rounds} rounds,"
              f" {os.cpu_count()} cores", flush=True)
        samples = {**measure(tasks, arguments.rounds, processor), **before}
        found = summarise(samples)
        verdicts = list(judge(found))
        print_table(found, verdicts)
        if arguments.json:
            Path(arguments.json).write_text(json.dumps(
                {"entries": entries, "accounts": arguments.accounts, "results": found,
                 "goals": verdicts, "samples": samples}, indent=1))
        if arguments.hold:
            hold(stage)
    return 0 if all(measured <= goal for _, measured, goal, _ in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
