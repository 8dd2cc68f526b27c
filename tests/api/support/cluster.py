"""A private PostgreSQL cluster that a test may stop, kill and start again."""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg

from support.ports import free_port
from support.settings import scaled
from support.waiting import wait_until

# Debian's PostgreSQL 15, or for the server's programs another version (ops/lib/postgres-16).
PG_CLIENT_BIN = Path("/usr/lib/postgresql/15/bin")
PG_BIN = Path(os.environ.get("PG_BIN", PG_CLIENT_BIN))


class Cluster:
    """Everything is below one folder in /tmp; stop() removes it."""

    made = []  # for whoever cleans up after a test that failed

    def __init__(self, **options):
        self.host = "127.0.0.1"
        self.port = free_port()
        self.user = "postgres"
        self.password = secrets.token_hex(16)
        self.folder = Path(tempfile.mkdtemp(prefix="pacioli-pg-"))
        self.options = {
            "listen_addresses": self.host,
            "unix_socket_directories": str(self.folder),
            "max_connections": "100",
            "shared_buffers": "64MB",
            **options,
        }
        self.process = None
        Cluster.made.append(self)

    def _as_server(self, *command):
        """PostgreSQL refuses to run as root."""
        if os.geteuid() == 0:
            drop = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
            return [*drop, "--", *map(str, command)]
        return list(map(str, command))

    @property
    def data(self):
        return self.folder / "data"

    def create(self):
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        password_file = self.folder / "password"
        password_file.write_text(self.password)
        password_file.chmod(0o644)  # the folder itself is 0700
        subprocess.run(
            self._as_server(
                PG_BIN / "initdb", "--pgdata", self.data, "--username", self.user, "--no-sync",
                "--data-checksums", "--auth=scram-sha-256", "--pwfile", password_file,
                "--encoding=UTF8", "--locale=C.UTF-8",
            ),
            check=True, capture_output=True, cwd=self.folder,
        )
        password_file.unlink()
        self.start()
        return self

    def start(self):
        settings = [f"-c{name}={value}" for name, value in self.options.items()]
        with open(self.folder / "postgresql.log", "ab") as log:
            self.process = subprocess.Popen(
                self._as_server(PG_BIN / "postgres", "-D", self.data, "-p", str(self.port),
                                *settings),
                stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder,
            )
        wait_until(self._accepts, "PostgreSQL accepts connections:\n" + self.log_tail(),
                   seconds=60, pause=0.05)

    def _accepts(self):
        if self.process.poll() is not None:
            raise AssertionError("PostgreSQL did not start:\n" + self.log_tail())
        try:
            self.connect("postgres", connect_timeout=2).close()
            return True
        except psycopg.OperationalError:
            return False

    def log_tail(self):
        log = self.folder / "postgresql.log"
        return "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.exists() else ""

    def connect(self, database, **more):
        return psycopg.connect(host=self.host, port=self.port, dbname=database, user=self.user,
                               password=self.password, autocommit=True, **more)

    def processes(self):
        """The postmaster's process id and those of its children."""
        postmaster = self.process.pid
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return [postmaster, *map(int, children)]

    def kill(self):
        """kill -9 of every process at once, as when the machine is reset."""
        victims = self.processes()
        # Stopped first, so that no backend is forked while the list is worked through.
        os.kill(self.process.pid, signal.SIGSTOP)
        for pid in sorted(set(victims + self.processes())):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait(timeout=scaled(30))
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in victims),
                   "all killed PostgreSQL processes are gone", seconds=30)

    def shut_down(self):
        """The server goes away in good order (fast shutdown)."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=scaled(30))

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(timeout=scaled(30))
        shutil.rmtree(self.folder, ignore_errors=True)


class GivenServer:
    """The server that ops/test names by TEST_PG*; not ours to stop."""

    def __init__(self):
        self.host = os.environ["TEST_PGHOST"]
        self.port = int(os.environ.get("TEST_PGPORT", "5432"))
        self.user = os.environ.get("TEST_PGUSER", "postgres")
        self.password = os.environ.get("TEST_PGPASSWORD", "")

    def connect(self, database, **more):
        return psycopg.connect(host=self.host, port=self.port, dbname=database, user=self.user,
                               password=self.password, autocommit=True, **more)

    def stop(self):
        pass
