"""The stages of the benchmark: a private PostgreSQL with the settings of ops/up, and on it wallets,
a database and a service each, with accounts that were opened and funded through the API."""

import http.client
import json
import os
import secrets
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import psycopg

from support.databases import Databases
from support.ports import free_port
from support.service import Service
from support.settings import REPO
from support.tokens import access_token

SECRET = secrets.token_hex(32)
FUNDS = "1000000.00"
HERE = Path(__file__).resolve().parent


class Server:
    """The cluster of ops/lib/cluster: fsync, full_page_writes and checksums on."""

    def __init__(self):
        self.host, self.user = "127.0.0.1", "postgres"
        self.port = free_port()
        self.password = secrets.token_hex(16)
        self.folder = Path(tempfile.mkdtemp(prefix="pacioli-bench-"))
        self.folder.chmod(0o755)
        self._cluster("init")
        self._cluster("start")

    def _cluster(self, verb):
        environment = {**os.environ, "POSTGRES_ADMIN_PASSWORD": self.password,
                       "PG_PORT": str(self.port)}
        run = subprocess.run([REPO / "ops/lib/cluster", verb, self.folder / "postgres"],
                             env=environment, capture_output=True, text=True, timeout=180)
        if run.returncode != 0:
            raise RuntimeError(f"ops/lib/cluster {verb}: {run.stdout}{run.stderr}")

    def connect(self, database, **more):
        return psycopg.connect(host=self.host, port=self.port, dbname=database, user=self.user,
                               password=self.password, autocommit=True, **more)

    def client_environment(self):
        return {**os.environ, "PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": self.user,
                "PGPASSWORD": self.password}

    def psql(self, database, file, **variables):
        assignments = [f"--set={name}={value}" for name, value in variables.items()]
        subprocess.run(["psql", "-X", "-q", "-d", database, "-v", "ON_ERROR_STOP=1", *assignments,
                        "-f", str(file)], env=self.client_environment(), check=True,
                       stdout=subprocess.DEVNULL)

    def stop(self):
        self._cluster("stop")
        shutil.rmtree(self.folder, ignore_errors=True)


class Stage:
    """A wallet of its own on the server; several stand beside each other."""

    def __init__(self, server, databases, account_count, **settings):
        self.server = server
        self.wallet = databases.copy("wallet")
        self.folder = server.folder / self.wallet.name
        self.service = Service("wallet_api", {
            **self.wallet.environment(), "JWT_SECRET": SECRET, "ACCOUNTS_PER_OWNER_MAX": "10000",
            **settings,
        }, self.folder).start()
        try:
            self.owner = str(uuid.uuid4())
            self.token = access_token(self.owner, SECRET, lifetime_s=24 * 3600)
            self.accounts = self._open(account_count)
            self._fund()
            self._write_files()
            self.server.psql(self.wallet.name, HERE / "reference.sql")
            self.wallet.execute("VACUUM ANALYZE")
        except BaseException:
            self.service.stop()
            raise

    def _call(self, connection, method, path, body=None):
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Authorization": f"Bearer {self.token}",
                            "Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def _connection(self):
        return http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=30)

    def _open(self, count):
        connection = self._connection()
        return [self._call(connection, "POST", "/wallet/accounts")["id"] for _ in range(count)]

    def _fund(self):
        connection = self._connection()
        for begin in range(0, len(self.accounts), 1000):
            operations = [{"type": "deposit", "account_id": account, "amount": FUNDS,
                           "idempotency_key": f"fund-{account}"}
                          for account in self.accounts[begin:begin + 1000]]
            results = self._call(connection, "POST", "/wallet/batch",
                                 {"operations": operations})["results"]
            refused = [result for result in results if result["status"] != 200]
            if refused:
                raise RuntimeError(f"a deposit was refused: {refused[0]}")

    def _write_files(self):
        self.accounts_file = self.folder / "accounts"
        self.accounts_file.write_text("\n".join(self.accounts))
        self.token_file = self.folder / "token"
        self.token_file.write_text(self.token)

    def grow(self, entries):
        """Fills the journal up to so many entries, by SQL."""
        present = self.wallet.query("SELECT sum(entries) FROM ledger.balance")[0][0]
        self.server.psql(self.wallet.name, HERE / "fill.sql", owner=self.owner,
                         entries=max(0, entries - int(present)))

    def check_snapshots(self):
        """Every snapshot must be the sum and the number of its account's entries."""
        bad = self.wallet.query(
            "SELECT count(*) FROM ledger.balance b LEFT JOIN (SELECT ledger_id, account_id, "
            "sum(amount) AS posted, count(*) AS entries FROM ledger.entry GROUP BY 1, 2) e "
            "USING (ledger_id, account_id) WHERE (b.posted, b.entries) IS DISTINCT FROM "
            "(coalesce(e.posted, 0), coalesce(e.entries, 0))")[0][0]
        if bad:
            raise RuntimeError(f"{bad} snapshots differ from their entries after the run")
