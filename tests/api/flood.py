"""A flood of logins, and what users who have logged in notice of it.

One client reads its wallet accounts 50 times a second: for half of the time undisturbed, then under the flood, then for
the other half undisturbed again, all in one run and by the same program. The flood sends logins at a steady rate,
whether or not the ones before are answered, against the defaults of auth_api (bcrypt of cost 12): nine of ten try
unknown names, each from another address, so that neither a name nor an address limits them, the tenth is a user with
the right password. More than the machine can hash is refused with 503.

As with systemd and ops/up, each service is a session of its own, that of auth_api weighs a tenth, and so are the
clients: Linux shares a busy machine among sessions first. In one session with the flood everything would pay for it as
soon as somebody else wants the cores.

Ends with 1 when the 99th percentile of the reads is more than twice its undisturbed value, when the flood was not sent
at its rate and on time, when something else than 200, 401, 429 or 503 was answered, when no user could log in, or when
either service grew in memory in the second half of the flood. Makes a PostgreSQL and both services of its own in a
temporary folder; never touches others."""

import argparse
import collections
import gc
import json
import multiprocessing
import os
import queue
import random
import resource
import secrets
import selectors
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import time
from pathlib import Path

from support import tokens
from support.api import Auth, User, new_name
from support.cluster import Cluster
from support.databases import Databases
from support.service import Service
from support.settings import REPO

READS_PER_S = 50
USERS = 20
USER_EVERY = 10  # so many attempts: one is a user's
CONNECTIONS_MAX = 2000
IDLE_MAX_S = 2
ANSWERED_WITHIN_S = 10  # of the last one sent
FACTOR_MAX = 2.0
GROWTH_MAX_MIB = 2
ON_TIME_S = 0.1
EXPECTED = {200, 401, 429, 503}
PASSWORD = "correct horse battery"


class Connection:
    """One kept connection: an answer at a time, read no further than to its end."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def send(self, request):
        self.received = b""
        self.socket.sendall(request)

    def receive(self):
        """The status when the answer is whole, else None."""
        chunk = self.socket.recv(65536)
        if not chunk:
            raise ConnectionError("a service closed a connection")
        self.received += chunk
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return None
        length = next(int(line.split(b":")[1]) for line in head.lower().split(b"\r\n")
                      if line.startswith(b"content-length:"))
        return int(head.split(b" ", 2)[1]) if len(body) == length else None

    def ask(self, request):
        self.send(request)
        while (status := self.receive()) is None:
            pass
        return status


def get(path, token=None):
    bearer = f"Authorization: Bearer {token}\r\n" if token else ""
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{bearer}\r\n".encode()


def read_paced(port, token, seconds, out):
    """Milliseconds of each read. One that is due while another is under way has begun when it was due."""
    gc.disable()
    connection, request, times = Connection(port), get("/wallet/accounts", token), []
    due = time.monotonic()
    end = due + seconds
    while due < end:
        early = due - time.monotonic()
        if early > 0:
            time.sleep(early)
        began = time.monotonic() if early > 0 else due
        status = connection.ask(request)
        times.append((time.monotonic() - began) * 1000)
        assert status == 200, status
        due += 1 / READS_PER_S
    out.put(times)


class Flood:
    """Sends on time, by one thread that waits for nothing else than the next moment to send."""

    def __init__(self, port, users, seconds, rate, seed):
        self.port, self.users, self.seconds, self.rate = port, users, seconds, rate
        self.random = random.Random(seed)
        self.selector = selectors.DefaultSelector()
        self.idle, self.busy = [], 0
        self.statuses = {"user": collections.Counter(), "stranger": collections.Counter()}
        self.took_ms = collections.defaultdict(list)
        self.late_s = []

    def attempt(self, number):
        """Who it is, and what is sent."""
        if number % USER_EVERY == 0:
            user = number // USER_EVERY % len(self.users)
            who, name, password, source = "user", self.users[user], PASSWORD, f"198.51.100.{user}"
        else:
            who, name, password = "stranger", f"n{self.random.getrandbits(64):x}", "wrong password"
            source = ".".join(str(self.random.randint(1, 250)) for _ in range(4))
        body = json.dumps({"username": name, "password": password})
        return who, (f"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: {source}\r\n"
                     f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
                     ).encode()

    def close(self, connection):
        self.selector.unregister(connection.socket)
        connection.socket.close()

    def connection(self):
        """One that the service has not closed, nor is about to, as nobody used it for long."""
        while self.idle:
            connection = self.idle.pop()
            if time.monotonic() - connection.idle_since < IDLE_MAX_S:
                return connection
            self.close(connection)
        assert self.busy < CONNECTIONS_MAX, "too many logins are not answered"
        connection = Connection(self.port)
        self.selector.register(connection.socket, selectors.EVENT_READ, connection)
        return connection

    def send(self, number, due):
        connection = self.connection()
        connection.who, request = self.attempt(number)
        connection.began = time.monotonic()
        connection.send(request)
        self.late_s.append(connection.began - due)
        self.busy += 1

    def receive(self, until):
        """Answers, until that moment."""
        while True:
            left = until - time.monotonic()
            for key, _ in self.selector.select(max(0, left)):
                connection = key.data
                if connection in self.idle:
                    self.idle.remove(connection)
                    self.close(connection)  # the service does so after a while
                    continue
                status = connection.receive()
                if status is not None:
                    self.statuses[connection.who][status] += 1
                    self.took_ms[status].append((time.monotonic() - connection.began) * 1000)
                    connection.idle_since = time.monotonic()
                    self.idle.append(connection)
                    self.busy -= 1
            if left <= 0:
                return

    def run(self, out):
        gc.disable()
        began = time.monotonic()
        for number in range(int(self.seconds * self.rate)):
            due = began + number / self.rate
            self.receive(due)
            self.send(number, due)
        sent_s = time.monotonic() - began
        deadline = time.monotonic() + ANSWERED_WITHIN_S
        while self.busy > 0 and time.monotonic() < deadline:
            self.receive(min(deadline, time.monotonic() + 0.1))
        used = resource.getrusage(resource.RUSAGE_SELF)
        out.put({"statuses": self.statuses, "sent_s": sent_s, "unanswered": self.busy,
                 "late_s": self.late_s, "took_ms": dict(self.took_ms),
                 "cpu_s": used.ru_utime + used.ru_stime})


class Started:
    """A function in a process of its own; the last argument that it gets is where its result goes."""

    def __init__(self, target, *arguments):
        self.out = multiprocessing.Queue()
        self.process = multiprocessing.Process(target=self.run, args=(target, arguments), daemon=True)
        self.process.start()

    def run(self, target, arguments):
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.setsid()
        target(*arguments, self.out)

    def result(self):
        """An error in the process is its own message; nothing is waited for then."""
        while True:
            try:
                result = self.out.get(timeout=1)
                self.process.join()
                return result
            except queue.Empty:
                assert self.process.is_alive(), "a process of the generator has failed"


def cpu_s(pids):
    """What those processes have used."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def busy_s():
    """What all processes of the machine have used."""
    fields = list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]))
    return (sum(fields[:8]) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def percentile(times, share):
    return statistics.quantiles(times, n=1000)[int(share * 10) - 1]


class World:
    def __init__(self, cluster, folder):
        secret = secrets.token_hex(32)
        databases = Databases(cluster)
        self.cluster = cluster
        wrappers = {"auth": ["setsid", REPO / "ops" / "lib" / "giving-way"], "wallet": ["setsid"]}
        self.services = {name: Service(f"{name}_api", {
            **databases.copy(name).environment(), "JWT_SECRET": secret,
            "TRUSTED_PROXIES": "127.0.0.1"}, folder, wrapper=wrapper) for name, wrapper in wrappers.items()}
        for service in self.services.values():
            service.start()
        reader = User(self.services["wallet"], secret)
        reader.account()
        self.token = reader.token
        auth = Auth(self.services["auth"])
        self.users = [new_name("user") for _ in range(USERS)]
        for name in self.users:
            assert auth.register(name, PASSWORD).status_code == 200

    def stop(self):
        for service in self.services.values():
            service.stop()

    def cpu_s(self):
        used = {name: cpu_s([service.process.pid]) for name, service in self.services.items()}
        return {**used, "PostgreSQL": cpu_s(self.cluster.processes())}

    def memory_mib(self):
        return {name: service.memory_mib() for name, service in self.services.items()}

    def reads(self, seconds):
        return Started(read_paced, self.services["wallet"].port, self.token, seconds)

    def undisturbed(self, seconds):
        """The reads, and how busy the machine was."""
        before = busy_s()
        return self.reads(seconds).result(), busy_s() - before

    def flood(self, seconds, rate, seed):
        """Reads and logins together, and what is seen of the services meanwhile."""
        port = self.services["auth"].port
        flood = Flood(port, self.users, seconds, rate, seed)
        before, busy_before = self.cpu_s(), busy_s()
        reads, logins = self.reads(seconds), Started(flood.run)
        memory, health, probe = [], [], Connection(port)
        for _ in range(int(seconds)):
            time.sleep(1)
            memory.append(self.memory_mib())
            began = time.perf_counter()
            assert probe.ask(get("/healthz")) == 200
            health.append((time.perf_counter() - began) * 1000)
        after, busy = self.cpu_s(), busy_s() - busy_before
        seen = {"memory": memory, "health": health, "busy": busy / seconds,
                "cpu": {name: (after[name] - before[name]) / seconds for name in after}}
        return reads.result(), logins.result(), seen


def tell_logins(logins, rate):
    sent = sum(sum(counts.values()) for counts in logins["statuses"].values())
    sent += logins["unanswered"]
    worst = max(logins["late_s"])
    on_time = sum(late <= ON_TIME_S for late in logins["late_s"]) / sent
    print(f"logins: {sent} sent in {logins['sent_s']:.1f} s ({sent / logins['sent_s']:.0f}/s), "
          f"{on_time:.2%} within {ON_TIME_S * 1000:.0f} ms of their time, at worst {worst * 1000:.0f} ms late; "
          f"{logins['unanswered']} unanswered")
    for who, counts in logins["statuses"].items():
        print(f"  {who}s: " + ", ".join(f"{status}: {n}" for status, n in sorted(counts.items())))
    for status, took in sorted(logins["took_ms"].items()):
        print(f"  answers of {status}: median {statistics.median(took):.1f} ms, most {max(took):.0f} ms")
    statuses = logins["statuses"]
    return {
        "the flood was sent at its rate and on time":
            sent / logins["sent_s"] >= 0.99 * rate and on_time >= 0.99,
        "every login was answered as expected":
            logins["unanswered"] == 0 and set().union(*statuses.values()) <= EXPECTED,
        "users could log in": statuses["user"][200] > 0,
    }


def tell_reads(undisturbed, disturbed):
    for name, times in (("undisturbed", undisturbed), ("under the flood", disturbed)):
        print(f"wallet reads {name}: {len(times)}, median {percentile(times, 50):.2f} ms, "
              f"p99 {percentile(times, 99):.2f} ms, most {max(times):.2f} ms")
    factor = percentile(disturbed, 99) / percentile(undisturbed, 99)
    print(f"p99 under the flood / undisturbed: {factor:.2f} (at most {FACTOR_MAX})")
    return {"reads are not disturbed": factor <= FACTOR_MAX}


def tell_services(seen, generator_cpu, undisturbed_busy):
    goals, memory = {}, seen["memory"]
    for name in memory[0]:
        first, half, last = (memory[i][name] for i in (0, len(memory) // 2, -1))
        print(f"memory of {name}_api: {first:.1f} MiB after 1 s, half-way {half:.1f}, at the end {last:.1f}")
        goals[f"memory of {name}_api is flat"] = last - half <= GROWTH_MAX_MIB
    print("cores used under the flood: " + ", ".join(
        f"{name} {share:.2f}" for name, share in {**seen["cpu"], "sending": generator_cpu}.items())
        + f"; of the whole machine {seen['busy']:.2f}, and {undisturbed_busy:.2f} when undisturbed")
    print(f"/healthz of auth_api under the flood: p99 {percentile(seen['health'], 99):.2f} ms")
    return goals


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="of the flood, and undisturbed (60)")
    parser.add_argument("--rate", type=int, default=200, help="logins a second (200)")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2 ** 32), help="of names and addresses")
    options = parser.parse_args()
    if options.seconds < 4 or not 1 <= options.rate <= 2000:
        parser.error("at least 4 seconds, and a rate of 1 to 2000")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that nothing is left running
    print(f"seed {options.seed}, {options.seconds} s, {os.cpu_count()} cores", flush=True)
    cluster = Cluster().create()
    folder = Path(tempfile.mkdtemp(prefix="pacioli-flood-"))
    world = None
    try:
        world = World(cluster, folder)
        undisturbed, busy = world.undisturbed(options.seconds / 2)
        disturbed, logins, seen = world.flood(options.seconds, options.rate, options.seed)
        more, more_busy = world.undisturbed(options.seconds / 2)
    finally:
        if world is not None:
            world.stop()
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)
    goals = {**tell_logins(logins, options.rate), **tell_reads(undisturbed + more, disturbed),
             **tell_services(seen, logins["cpu_s"] / options.seconds, (busy + more_busy) / options.seconds)}
    for goal, reached in goals.items():
        print(f"{'ok    ' if reached else 'FAILED'} {goal}")
    return 0 if all(goals.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
