"""The faults, and the order in which they come: a pack of cards, shuffled by the seed, so that
every kind has its share however short the run is.

A fault that lasts (a stopped process, a slow network) is healed later, while others may come. After
most faults the rig waits until both services are ready again, and notes how long that took; after
some it does not, so that faults meet.
"""

import os
import random
import signal
import time
from collections import Counter, defaultdict

import psycopg
from support.settings import scaled

from rig.world import SERVICES, send_signal

READY_WITHIN_S = 5.0  # of the moment at which PostgreSQL accepts connections (L-11)

# How many cards of each kind are in a pack.
PACK = {
    "service_kill": 4,
    "backend_kill": 4,
    "postmaster_kill": 4,
    "terminate_all": 4,
    "commit_reply": 8,
    "commit_request": 2,
    "commit_late": 2,
    "commit_stale": 2,
    "stale_kill": 2,
    "cut": 2,
    "service_stop": 1,
    "backend_stop": 1,
    "postmaster_stop": 1,
    "delay": 1,
    "blackhole": 1,
}


class Faults:
    """note(what, **more) writes into the run's diary."""

    def __init__(self, world, seed, kinds, note, pause_s):
        self.world, self.note, self.pause_s = world, note, pause_s
        self.random = random.Random(seed ^ 0x5eed)
        self.kinds = kinds
        self.pack = []
        self.done = Counter()
        self.skipped = Counter()
        self.healing = []  # (when, what, function)
        self.recoveries = defaultdict(list)  # kind: seconds
        self.violations = []
        self.restarts = 0  # of services that ended while they were starting
        self.counted = Counter()  # of the proxy, by the end of the last fault

    # ---- the run ----

    def run(self, end, while_waiting):
        """Faults until the monotonic time `end`; while_waiting() is called ten times a second."""
        next_fault = time.monotonic() + self.pause_s
        while time.monotonic() < end:
            self.tend()
            while_waiting()
            if not self.kinds or time.monotonic() < next_fault:
                time.sleep(0.05)
                continue
            kind = self.draw()
            lonely = not self.healing
            healed_at = getattr(self, kind)()
            if healed_at is None:
                self.skipped[kind] += 1
            else:
                self.done[kind] += 1
            if healed_at is not None and self.random.random() < 0.75:
                self.wait_ready(kind, lonely and len(self.healing) <= 1, healed_at, while_waiting)
            next_fault = time.monotonic() + min(self.random.expovariate(1 / self.pause_s),
                                                4 * self.pause_s)

    def draw(self):
        if not self.pack:
            self.pack = [kind for kind, cards in PACK.items() if kind in self.kinds
                         for _ in range(cards)]
            self.random.shuffle(self.pack)
        return self.pack.pop()

    def wait_ready(self, kind, measure, healed_at, while_waiting):
        end = time.monotonic() + scaled(30)
        while self.healing or not self.world.ready():
            self.tend()
            while_waiting()
            if time.monotonic() > end:
                self.violations.append(f"after {kind}: the services are not ready within 30 s")
                return
            time.sleep(0.02)
        if not measure:
            return
        took = time.monotonic() - max(healed_at, self.last_heal)
        self.recoveries[kind].append(took)
        if took > scaled(READY_WITHIN_S):
            self.violations.append(
                f"L-11 after {kind}: expected both services to be ready within {READY_WITHIN_S} s"
                f" of the end of the fault, found {took:.1f} s")

    last_heal = 0.0

    def tend(self):
        """Heals what is due, and starts again what has ended."""
        now = time.monotonic()
        for entry in [entry for entry in self.healing if entry[0] <= now]:
            self.healing.remove(entry)
            self._heal(entry)
        for number, service in enumerate(self.world.services):
            if service.process is not None and service.process.poll() is not None:
                status = service.process.returncode
                if service.was_ready or status < 0:
                    self.violations.append(
                        f"wallet_api {number} ended by itself with {status}:\n{service.log_tail()}")
                self.restarts += 1
                self.note("restart", service=number, status=status)
                service.process = None
                service.start(wait=False)

    def _heal(self, entry):
        _, what, heal = entry
        heal()
        self.last_heal = time.monotonic()
        self.note("heal", fault=what)

    def heal_all(self):
        for entry in self.healing:
            self._heal(entry)
        self.healing.clear()
        for door in range(SERVICES):
            self.world.proxy.tell("calm", door=door)
            self.world.proxy.tell("set", door=door)

    def _wait_for(self, condition, what, seconds):
        end = time.monotonic() + scaled(seconds)
        while not condition():
            self.tend()
            if time.monotonic() > end:
                raise AssertionError(f"within {seconds} s expected: {what}")
            time.sleep(0.01)

    def _happens(self, name, before, seconds=2.0):
        """Has the proxy carried it out in time?"""
        end = time.monotonic() + seconds
        while self.world.proxy.fired()[name] == before:
            if time.monotonic() > end:
                return False
            self.tend()
            time.sleep(0.005)
        return True

    def later(self, seconds, what, heal):
        self.healing.append((time.monotonic() + seconds, what, heal))

    def _door(self):
        """One of the two services."""
        return self.random.randrange(SERVICES)

    # ---- each returns the moment from which on things can recover, or None: not possible now ----

    def service_kill(self):
        number = self._door()
        service = self.world.services[number]
        if service.process is None or service.process.poll() is not None:
            return None
        self.note("service_kill", service=number)
        service.kill()
        service.start(wait=False)
        self.note("restart", service=number)
        return time.monotonic()

    def backend_kill(self):
        backends = self.world.cluster.backends()
        if not backends:
            return None
        pid = self.random.choice(backends)
        self.note("backend_kill", pid=pid)
        if not send_signal(pid, signal.SIGKILL):
            return None
        time.sleep(0.02)  # the postmaster has not seen it yet
        self._wait_for(self.world.cluster.accepts, "PostgreSQL has recovered", 60)
        return time.monotonic()

    def postmaster_kill(self):
        self.note("postmaster_kill")
        self._drop_heals("backend_stop", "postmaster_stop")
        self.world.cluster.kill_postmaster()
        self.world.cluster.start()
        self.note("postmaster_started")
        return time.monotonic()

    def _drop_heals(self, *names):
        for entry in [entry for entry in self.healing if entry[1] in names]:
            self.healing.remove(entry)
            self._heal(entry)

    def terminate_all(self):
        if any(what == "postmaster_stop" for _, what, _ in self.healing):
            return None
        self.note("terminate_all")
        try:
            with self.world.cluster.connect("postgres", connect_timeout=2) as connection:
                count, = connection.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE usename = 'wallet_service'").fetchone()
        except psycopg.OperationalError:
            return None
        return time.monotonic() if count else None

    def commit_reply(self):
        return self._commit("reply", self.random.choice((0, 0, 0, 0.05, 0.5, 1.5)))

    def commit_request(self):
        return self._commit("request", self.random.choice((0, 0.1, 1.0)))

    def commit_late(self):
        return self._commit("late", self.random.choice((0.1, 0.5, 1.5)))

    def commit_stale(self):
        return self._commit("stale", self.random.choice((0.1, 0.5, 1.5)))

    def stale_kill(self):
        """The service dies while its batch is still under way: its successor is asked for the same
        keys, and the batch arrives later."""
        number = self._door()
        service = self.world.services[number]
        if service.process is None or service.process.poll() is not None:
            return None
        if self._commit("stale", self.random.choice((0.5, 1.5, 3.0)), number,
                        service.process.pid) is None:
            return None
        service.kill()
        service.start(wait=False)
        self.note("restart", service=number)
        return time.monotonic()

    def _commit(self, mode, hold_s, door=None, kill=None):
        """Counts when it has happened."""
        proxy, door = self.world.proxy, self._door() if door is None else door
        before = proxy.fired()[mode]
        reset = self.random.random() < 0.5
        proxy.tell("commit", door=door, mode=mode, hold_s=hold_s, reset=reset, kill=kill)
        if not self._happens(mode, before):
            proxy.tell("calm", door=door)
            return None
        self.note("stale_kill" if kill else f"commit_{mode}", door=door, hold_s=hold_s)
        if hold_s:
            self.later(hold_s, f"commit_{mode}", lambda: None)
        return time.monotonic()

    def cut(self):
        proxy, door = self.world.proxy, self._door()
        before = proxy.fired()["cut"]
        proxy.tell("cut", door=door, way=self.random.choice(("up", "down")),
                   bytes=self.random.randint(1, 20000), reset=self.random.random() < 0.5)
        if not self._happens("cut", before):
            proxy.tell("calm", door=door)
            return None
        self.note("cut", door=door)
        return time.monotonic()

    def _stop(self, name, pid, **more):
        if any(what == name for _, what, _ in self.healing):
            return None
        seconds = self.random.uniform(1.0, 5.0)
        self.note(name, pid=pid, seconds=seconds, **more)
        if not send_signal(pid, signal.SIGSTOP):
            return None
        self.later(seconds, name, lambda: send_signal(pid, signal.SIGCONT))
        return time.monotonic()

    def service_stop(self):
        number = self._door()
        service = self.world.services[number]
        if service.process is None:
            return None
        return self._stop("service_stop", service.process.pid, service=number)

    def backend_stop(self):
        backends = self.world.cluster.backends()
        return self._stop("backend_stop", self.random.choice(backends)) if backends else None

    def postmaster_stop(self):
        return self._stop("postmaster_stop", self.world.cluster.process.pid)

    def _door_for_a_while(self, name, seconds, **setting):
        if any(what in ("delay", "blackhole") for _, what, _ in self.healing):
            return None
        proxy = self.world.proxy
        doors = self.random.choice(((0,), (1,), (0, 1)))
        self.note(name, doors=doors, seconds=seconds, **setting)
        for door in doors:
            proxy.tell("set", door=door, **setting)
        self.later(seconds, name, lambda: [proxy.tell("set", door=door) for door in doors])
        return time.monotonic()

    def delay(self):
        return self._door_for_a_while("delay", self.random.uniform(1.0, 3.0),
                                      delay_ms=self.random.randint(10, 500))

    def blackhole(self):
        """Now and then for longer than any deadline, so that outcomes stay unknown."""
        longest = 7.0 if self.random.random() < 0.3 else 3.0
        return self._door_for_a_while("blackhole", self.random.uniform(longest - 2.0, longest),
                                      hold=True)


def environment_seed():
    return int.from_bytes(os.urandom(4), "big")
