"""One run: a world, the load, the faults, the final phase, the check, the summary."""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue

from support.settings import scaled
from support.waiting import wait_until

from rig import FOLDER, checker, history
from rig.faults import PACK, Faults
from rig.report import Report
from rig.world import World, amcheck

# What the acceptance of a whole campaign asks for, by kind of fault.
GOALS = {"service_kill": 100, "backend_kill": 100, "postmaster_kill": 100, "terminate_all": 100,
         "commit_reply": 200}
EVENTS = ("integrity", "batch_lost", "batch_refused", "command_failed")


@dataclass
class Plan:
    seconds: float
    seed: int
    kinds: tuple = tuple(PACK)
    rate: int = 800
    clients: int = 64
    only: dict = None  # weights of shapes.py
    abandon: float = 0.004
    pause_s: float = 0.35
    program: str = None
    guards: tuple = ()
    threads: int = 2
    calm_s: float = 3.0  # without a fault at the end: everything must succeed then
    resolve_s: float = 300.0  # for the final phase
    deep: bool = True  # pg_amcheck too


@dataclass
class Result:
    report: Report = field(default_factory=Report)
    faults: Faults = None
    fired: Counter = field(default_factory=Counter)  # what the proxy has carried out
    load: dict = field(default_factory=dict)  # the clients' own counts
    resolved: dict = field(default_factory=dict)
    counts: dict = field(default_factory=dict)  # the checker's
    logs: dict = field(default_factory=dict)
    took: dict = field(default_factory=dict)  # seconds


class LoadProcess:
    """The clients' process, and what it says."""

    def __init__(self, config_path):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rig.load", str(config_path)], cwd=FOLDER,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.said = Queue()
        self.last = {}
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self.process.stdout:
            self.said.put(json.loads(line))
        self.said.put(None)

    def hear(self, wait_s=0.0):
        """The next thing it says, or None."""
        try:
            said = self.said.get(timeout=wait_s) if wait_s else self.said.get_nowait()
        except Empty:
            return None
        if said is None:
            raise RuntimeError("the clients' process has ended")
        self.last = said
        return said

    def wait(self, word, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            said = self.hear(0.5)
            if said and word in said:
                return said
        raise AssertionError(f"within {seconds:.0f} s expected the clients to say {word}")

    def order(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Diary:
    """What the rig did and when, on the clients' clock."""

    def __init__(self, path):
        self.writer = history.Writer(path)

    def note(self, what, **more):
        self.writer.write({"e": "fault", "t": time.monotonic_ns(), "what": what, **more})


def run(plan, cluster, databases, folder):
    """Returns the Result. That the rig itself cannot go on is a violation, too: a service that does
    not start, clients that get no answer."""
    result = Result()
    world = World(cluster, databases, folder, plan.program, plan.guards, plan.threads)
    (world.folder / "database.json").write_text(json.dumps({"name": world.database.name}))
    load = None
    try:
        world.start()
        load = _start_load(plan, world)
        diary = Diary(world.folder / "faults.jsonl")
        load.wait("ready", scaled(60))
        _disturb(plan, world, load, diary, result)
        _settle(plan, world, load, diary, result)
        _check(plan, world, result)
    except (AssertionError, RuntimeError) as error:
        traceback.print_exc()
        result.report.tell("rig", f"it could not go on: {error}")
    finally:
        if load is not None:
            load.stop()
        world.stop()
    return result


def _start_load(plan, world):
    setup, tokens = world.make_setup()
    (world.folder / "setup.json").write_text(json.dumps(setup.record()))
    config = {"ports": [service.port for service in world.services], "tokens": tokens,
              "setup": setup.record(), "seed": plan.seed, "clients": plan.clients,
              "rate": plan.rate, "only": plan.only, "abandon": plan.abandon,
              "resolve_s": plan.resolve_s, "history": str(world.folder / "history.jsonl")}
    (world.folder / "load.json").write_text(json.dumps(config))
    return LoadProcess(world.folder / "load.json")


def _disturb(plan, world, load, diary, result):
    began = time.monotonic()
    faults = Faults(world, plan.seed, plan.kinds, diary.note, plan.pause_s)
    result.faults = faults
    told = [0.0]

    def while_waiting():
        said = load.hear()
        if said and sys.stdout.isatty() and time.monotonic() - told[0] > 5:
            told[0] = time.monotonic()
            print(f"  {said.get('seconds', 0):6.0f} s: {said.get('sent')} operations, "
                  f"{sum(faults.done.values())} faults", flush=True)

    faults.run(began + plan.seconds, while_waiting)
    faults.heal_all()
    faults.wait_ready("the last fault", True, time.monotonic(), while_waiting)
    time.sleep(1.0)  # those who had met the fault try again
    diary.note("calm")
    end = time.monotonic() + plan.calm_s
    while time.monotonic() < end:
        faults.tend()
        load.hear(0.1)
    diary.note("stop")
    load.order("stop")
    result.load = load.wait("stopped", scaled(60))
    faults.tend()
    result.fired = world.proxy.fired()
    result.took["load"] = time.monotonic() - began


def _settle(plan, world, load, diary, result):
    """Services end in good order, so that nothing is under way any more; then every open operation
    is asked for."""
    began = time.monotonic()
    for number, service in enumerate(world.services):
        try:
            service.stop()
        except AssertionError as error:
            result.report.tell("service", f"wallet_api {number}: {error}")
            service.process = None
    world.wait_quiet()
    world.start()
    diary.note("final")
    load.order("resolve")
    result.resolved = load.wait("resolved", scaled(plan.resolve_s + 30))
    load.order("end")
    wait_until(lambda: load.process.poll() is not None, "the clients' process ends", 30)
    result.took["final phase"] = time.monotonic() - began


def _check(plan, world, result):
    began = time.monotonic()
    for text in result.faults.violations:
        rule, _, rest = text.partition(" ")
        result.report.tell(rule if rule.startswith("L-") else "service", rest if
                           rule.startswith("L-") else text)
    for service in world.services:
        try:
            service.check_log()
        except AssertionError as error:
            result.report.tell("service", str(error))
    found = world.log_lines([f'"event":"{event}"' for event in EVENTS] + ['"in_doubt":true'])
    result.logs = {mark.split(":")[-1 if "event" in mark else 0].strip('"'): count
                   for mark, count in found.items()}
    if result.logs["integrity"]:
        result.report.tell("service", f"{result.logs['integrity']} lines 'integrity' in the logs")
    result.counts = checker.check_run(world.folder, world.database, result.report)
    if plan.deep:
        found = amcheck(world.cluster, world.database)
        if found:
            result.report.tell("D-7 pg_amcheck", found[:2000])
    result.took["check"] = time.monotonic() - began


# ---- the summary ----


def summary(plan, result):
    """Lines for people; the counts of the acceptance are among them."""
    faults, counts = result.faults, result.counts
    if not counts:
        return
    yield f"seed {plan.seed}, {plan.seconds:.0f} s of faults, {plan.clients} clients"
    rate = counts["operations"] / result.took["load"]
    yield (f"operations {counts['operations']} ({rate:.0f}/s), of them reads {counts['reads']}; "
           f"keys {counts['keys']}, transactions in the journal {counts['transactions']}")
    yield "outcomes   " + table(result.load["outcomes"])
    yield (f"resolved   {result.resolved['resolved']} open operations in the final phase, "
           f"{result.resolved['left']} left")
    yield "faults     " + table({**faults.done})
    if faults.skipped:
        yield "           not possible when their turn came: " + table(faults.skipped)
    yield "           carried out by the proxy: " + table(result.fired)
    yield f"           services that ended while they were starting: {faults.restarts}"
    recoveries = [took for some in faults.recoveries.values() for took in some]
    if recoveries:
        yield (f"recovery   median {statistics.median(recoveries):.2f} s, worst "
               f"{max(recoveries):.2f} s; by kind (median, worst): " + ", ".join(
                   f"{kind} {statistics.median(some):.2f} {max(some):.2f}"
                   for kind, some in sorted(faults.recoveries.items())))
    yield "logs       " + table(result.logs)
    yield "took       " + ", ".join(f"{what} {took:.1f} s" for what, took in result.took.items())
    yield "goals      " + ", ".join(
        f"{kind} {faults.done[kind]} of {goal}" for kind, goal in GOALS.items())


def table(counts):
    return ", ".join(f"{name} {count}" for name, count in sorted(
        counts.items(), key=lambda item: (-item[1], item[0]))) or "none"


def temporary_folder():
    return Path(tempfile.mkdtemp(prefix="pacioli-faults-"))


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
