"""Holds a history against the journal that it led to. Reads nothing but the folder of the run and
the database; may be run again on a kept run.

1. The journal by itself: INV1 to INV8 by SQL, then replayed one transaction at a time.
2. Every answer: what was acknowledged is there once, as it was told; what was refused is not;
   nothing is there that nobody asked for.
3. Every read, and every refusal for lack of money, against the states that the account can have had
   at that time.
4. Real time, with all that the reads have shown.
"""

import json
from pathlib import Path

from support.settings import scaled

from rig import history, journal
from rig.model import Model
from rig.operations import Operations

DEADLINE_S = 5.0  # of a request (REQUEST_TIMEOUT_MS)
SLACK_S = 3.0  # a busy machine's


def check_run(folder, database, report):
    """Everything, for a run with its folder (history.jsonl, faults.jsonl) and its database."""
    folder = Path(folder)
    journal.check_invariants(database, report)
    path = folder / "history.jsonl"
    setup = history.Setup(json.loads((folder / "setup.json").read_text()))
    counts = check(path, journal.load(database), setup, report)
    diary = list(history.read(folder / "faults.jsonl"))
    check_deadlines(path, diary, report)
    check_calm(path, diary, report)
    return counts


def check(path, books, setup, report):
    model = Model(books, setup, report)
    model.replay()
    operations = Operations(books, model, setup, report)
    operations.read(path)
    operations.settle()
    model.time("INV10 real time")
    operations.check_reads()
    operations.check_refusals()
    operations.late_evidence()
    model.time("INV10 real time, with reads")
    return {**operations.counts, "transactions": len(books.transactions),
            "keys": len(operations.keys)}


def check_deadlines(path, diary, report):
    """A request ends at its deadline, unless its service was stopped meanwhile."""
    stopped = {}
    for entry in diary:
        if entry["what"] == "service_stop":
            stopped.setdefault(entry["service"], []).append(
                (entry["t"], entry["t"] + int((entry["seconds"] + 2) * 1e9)))
    limit = int(scaled(DEADLINE_S + SLACK_S) * 1e9)
    for invocation, answer in history.pairs(path):
        if answer["t"] is None or answer["t"] - invocation["t"] <= limit:
            continue
        paused = sum(max(0, min(end, answer["t"]) - max(begin, invocation["t"]))
                     for begin, end in stopped.get(invocation["s"], ()))
        took = answer["t"] - invocation["t"]
        if took - paused > limit:
            report.add("L-11 deadline", f"operation {invocation['n']} {invocation['op']}",
                       f"an answer within {DEADLINE_S} s", f"it took {took / 1e9:.1f} s, of which "
                       f"its service was stopped for {paused / 1e9:.1f} s")


def check_calm(path, diary, report):
    """After the last fault 99 of 100 requests succeed (L-11)."""
    moments = {entry["what"]: entry["t"] for entry in diary if entry["what"] in ("calm", "stop")}
    if len(moments) < 2:
        return
    failed = total = 0
    for invocation, answer in history.pairs(path):
        if moments["calm"] <= invocation["t"] < moments["stop"]:
            total += 1
            failed += answer.get("lost") not in (None, "abandoned") or answer.get("st") == 503
    if total and failed / total > 0.01:
        report.add("L-11 calm", "after the last fault", "99 of 100 requests to succeed",
                   f"{failed} of {total} did not")
