"""What the load runs against: a private PostgreSQL, the proxy before it, two services, and the
rig's own changes to the database."""

import os
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

import httpx
import psycopg
from support import tokens
from support.cluster import PG_CLIENT_BIN, Cluster
from support.databases import Databases
from support.ports import free_port
from support.service import Service, base_environment
from support.settings import BINARIES, scaled
from support.waiting import wait_until

from rig import history, shapes
from rig.proxy import Proxy

SECRET = "the fault rig's own secret, known to nobody else"
SERVICES = 2

# Two amounts that the database refuses, always or now and then. Superuser's triggers, so that the
# services need no right for them.
TROUBLE = f"""
    CREATE FUNCTION public.refuse_poison() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'poison' USING ERRCODE = 'P0001';
    END $$;
    CREATE FUNCTION public.refuse_now_and_then() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF random() < 0.2 THEN
            RAISE EXCEPTION 'a mood' USING ERRCODE =
                CASE WHEN random() < 0.5 THEN '40001' ELSE '40P01' END;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER poison BEFORE INSERT ON ledger.entry FOR EACH ROW
        WHEN (NEW.amount = {shapes.POISON_MINOR} OR NEW.amount = -{shapes.POISON_MINOR})
        EXECUTE FUNCTION public.refuse_poison();
    CREATE TRIGGER mood BEFORE INSERT ON ledger.entry FOR EACH ROW
        WHEN (NEW.amount = {shapes.MOODY_MINOR} OR NEW.amount = -{shapes.MOODY_MINOR})
        EXECUTE FUNCTION public.refuse_now_and_then();
"""

# For mutants: what the database itself would refuse first. Each names what it takes away.
GUARDS = {
    "entries sum to zero": "DROP TRIGGER entry_check ON ledger.entry",
    "one transaction per key": "ALTER TABLE ledger.transaction"
                               " DROP CONSTRAINT transaction_idempotency_key;"
                               " CREATE INDEX ON ledger.transaction"
                               " (ledger_id, principal, idempotency_key)",
    "one entry per place": "ALTER TABLE ledger.entry DROP CONSTRAINT entry_pkey CASCADE;"
                           " CREATE INDEX ON ledger.entry (ledger_id, account_id, seq)",
    "all snapshots are moved": "CREATE OR REPLACE FUNCTION"
                               " ledger.confirm_rows(moved bigint, expected bigint) RETURNS bigint"
                               " LANGUAGE sql IMMUTABLE AS 'SELECT moved'",
}


class FaultCluster(Cluster):
    """A cluster whose processes can be killed and stopped one by one."""

    def __init__(self):
        super().__init__(log_min_messages="fatal", max_wal_size="2GB", deadlock_timeout="500ms")

    def children(self):
        try:
            postmaster = self.process.pid
            found = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
            return [int(pid) for pid in found]
        except OSError:
            return []

    def backends(self):
        """Those that serve a service."""
        return [pid for pid in self.children() if b"wallet_service" in command_line(pid)]

    def accepts(self):
        if self.process.poll() is not None:
            return False
        try:
            self.connect("postgres", connect_timeout=2).close()
            return True
        except psycopg.OperationalError:
            return False

    def wait_accepts(self):
        wait_until(self.accepts, "PostgreSQL accepts connections:\n" + self.log_tail(), 60, 0.01)

    def kill_postmaster(self):
        """Only the postmaster; its children see that and end by themselves."""
        children = self.children()
        for pid in children:
            send_signal(pid, signal.SIGCONT)
        self.process.kill()
        self.process.wait()
        wait_until(lambda: not any(is_running(pid) for pid in children),
                   "the children of a killed postmaster end", 30, 0.01)

    def start(self):
        """The socket's and the memory's last holders may need a moment to go."""
        end = time.monotonic() + scaled(30)
        while True:
            try:
                super().start()
                return
            except AssertionError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)


class RigService(Service):
    """wallet_api of any build."""

    def __init__(self, program, environment, folder):
        super().__init__("wallet_api", environment, folder)
        self.program = program
        self.was_ready = False

    def start(self, wait=True):
        self.was_ready = False
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [self.program], env={**base_environment(), **self.environment}, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self.wait_ready()
        return self

    def ready_now(self):
        """Without a failure for one that does not run."""
        ready = (self.process is not None and self.process.poll() is None
                 and self.probe("/readyz", timeout=1.0) == 200)
        self.was_ready = self.was_ready or ready
        return ready


class World:
    """Two services on one database: one with a single poster, which finds its own snapshots again
    and goes by express, one with several."""

    def __init__(self, cluster, databases, folder, program=None, guards=(), threads=2):
        self.cluster, self.folder = cluster, Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.database = databases.copy("wallet")
        self.database.execute(TROUBLE)
        for guard in guards:
            self.database.execute(GUARDS[guard])
        self.proxy = Proxy(cluster.port, SERVICES, free_port)
        program = program or BINARIES / "wallet_api"
        self.services = [
            RigService(str(program), {
                **self.database.environment(), "POSTGRES_PORT": str(port), "JWT_SECRET": SECRET,
                "THREADS": str(threads if number else 1), "LOG_LEVEL": "warn"},
                self.folder / f"service{number}")
            for number, port in enumerate(self.proxy.door_ports)]

    def start(self):
        for service in self.services:
            service.start(wait=False)
        for service in self.services:
            service.wait_ready()
            service.was_ready = True

    def ready(self):
        return all(service.ready_now() for service in self.services)

    def make_setup(self):
        """Users with accounts of theirs: (setup record, tokens)."""
        users = [str(uuid.uuid4()) for _ in range(shapes.USERS)]
        user_tokens = [tokens.access_token(user, SECRET, lifetime_s=86400) for user in users]
        ids = []
        with httpx.Client(base_url=self.services[0].url, timeout=30, trust_env=False) as http:
            for user, currency, *_ in shapes.ACCOUNTS:
                answer = http.post("/wallet/accounts", json={"currency": currency},
                                   headers={"Authorization": f"Bearer {user_tokens[user]}"})
                answer.raise_for_status()
                ids.append(answer.json()["id"])
        setup = history.Setup({"users": users, "accounts": shapes.opened(users, ids),
                               "poison": shapes.POISON_MINOR})
        return setup, user_tokens

    def wait_quiet(self):
        """Nothing of the services is left at work in PostgreSQL."""
        wait_until(lambda: self.database.query(
            "SELECT count(*) FROM pg_stat_activity WHERE usename = 'wallet_service'") == [(0,)],
            "the services' backends end", 30)

    def log_lines(self, marks):
        """How often each of the texts stands in the services' logs."""
        texts = [service.log_text() for service in self.services]
        return {mark: sum(text.count(mark) for text in texts) for mark in marks}

    def stop(self):
        for service in self.services:
            if service.process is not None and service.process.poll() is None:
                send_signal(service.process.pid, signal.SIGCONT)
                service.process.kill()
                service.process.wait()
            service.process = None
        self.proxy.stop()


# ---- processes ----


def command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def is_running(pid):
    """A zombie that its new parent has not collected yet does not count."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def send_signal(pid, number):
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


# ---- a kept database ----


def keep_cluster(cluster, folder):
    """Shuts it down in good order and copies its data."""
    cluster.shut_down()
    shutil.copytree(cluster.data, Path(folder) / "postgres", symlinks=True)


class KeptCluster(FaultCluster):
    """A copy of a kept cluster in a folder of its own, so that a check changes nothing. Its
    password was not kept, so the copy trusts whoever comes through the socket in its folder."""

    def __init__(self, folder):
        super().__init__()
        shutil.copytree(Path(folder) / "postgres", self.data, symlinks=True)
        self.options["listen_addresses"] = ""
        self.host = str(self.folder)
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "postgres:postgres", self.folder], check=True)
        os.chmod(self.data, 0o700)

    def start(self):
        (self.data / "pg_hba.conf").write_text("local all all trust\n")
        super().start()
        return self


def amcheck(cluster, database):
    """What pg_amcheck says, or "" when all indexes and heaps are sound."""
    run = subprocess.run(
        [PG_CLIENT_BIN / "pg_amcheck", "-h", cluster.host, "-p", str(cluster.port), "-U", cluster.user,
         "-d", database.name, "--install-missing", "--heapallindexed"],
        env={"PATH": os.environ["PATH"], "PGPASSWORD": cluster.password}, capture_output=True,
        text=True, timeout=scaled(600))
    return (run.stdout + run.stderr).strip() if run.returncode != 0 else ""
