"""Databases as ops/up makes them (by ops/lib/make-databases), and copies of them."""

import hashlib
import os
import secrets
import subprocess
from dataclasses import dataclass

from psycopg import errors, sql

from support.settings import REPO, scaled

PROJECTS = ("auth", "wallet")


@dataclass
class Database:
    """One database; its roles are <project>_owner and <project>_service."""

    server: object
    project: str
    name: str
    passwords: dict

    def environment(self, role="service"):
        """How a service finds it; as another role than its own if a test wants that."""
        return {
            "POSTGRES_HOST": self.server.host,
            "POSTGRES_PORT": str(self.server.port),
            "POSTGRES_DB": self.name,
            "POSTGRES_USER": f"{self.project}_{role}",
            "POSTGRES_PASSWORD": self.passwords[f"{self.project}_{role}"],
        }

    def connect(self):
        """As superuser, for looking and for breaking things."""
        return self.server.connect(self.name)

    def query(self, text, parameters=()):
        with self.connect() as connection:
            return connection.execute(text, parameters).fetchall()

    def execute(self, text, parameters=()):
        with self.connect() as connection:
            connection.execute(text, parameters)


class Databases:
    """A migrated pair that nobody uses, and copies of it, which are quick to make.

    The pair is named after the migrations and stays on the server, so that the next file of tests
    finds it; whoever owns the server (ops/test, or the private Cluster) throws it away.
    """

    def __init__(self, server):
        self.server = server
        self.passwords = {f"{project}_{role}": _password(project, role)
                          for project in PROJECTS for role in ("owner", "service")}
        digest = _migrations_digest()
        self.pattern = {project: f"api_{project}_{digest}" for project in PROJECTS}
        self.made = []
        if not self._has_pattern():
            self._make_pattern()

    def _has_pattern(self):
        with self.server.connect("postgres") as connection:
            found = connection.execute("SELECT count(*) FROM pg_database WHERE datname = ANY(%s)",
                                       (list(self.pattern.values()),)).fetchone()
        return found == (len(PROJECTS),)

    def _make_pattern(self):
        server, mark = self.server, secrets.token_hex(4)
        new = {project: f"api_new_{project}_{mark}" for project in PROJECTS}
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("PG")}
        environment.update(
            POSTGRES_HOST=server.host, POSTGRES_PORT=str(server.port),
            POSTGRES_ADMIN_USER=server.user, POSTGRES_ADMIN_PASSWORD=server.password,
            AUTH_DB=new["auth"], WALLET_DB=new["wallet"])
        for role, password in self.passwords.items():
            environment[f"{role.upper()}_PASSWORD"] = password
        run = subprocess.run([REPO / "ops" / "lib" / "make-databases"], env=environment,
                             capture_output=True, text=True, timeout=scaled(120))
        assert run.returncode == 0, f"ops/lib/make-databases failed:\n{run.stdout}\n{run.stderr}"
        # Only what is whole gets the name, and the first one: another file may be as far as this.
        with server.connect("postgres") as connection:
            for project in PROJECTS:
                try:
                    connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
                        sql.Identifier(new[project]), sql.Identifier(self.pattern[project])))
                except (errors.DuplicateDatabase, errors.UniqueViolation):  # at the same instant
                    connection.execute(sql.SQL("DROP DATABASE {}").format(
                        sql.Identifier(new[project])))

    def copy(self, project):
        """A new, empty database of that project."""
        name = f"api_{project}_{secrets.token_hex(4)}"
        with self.server.connect("postgres") as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                sql.Identifier(name), sql.Identifier(self.pattern[project]),
                sql.Identifier(f"{project}_owner")))
            # The rights on a database are not copied with it.
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(
                sql.Identifier(name)))
            connection.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(
                sql.Identifier(name), sql.Identifier(f"{project}_service")))
        self.made.append(name)
        return Database(self.server, project, name, self.passwords)

    def drop(self):
        with self.server.connect("postgres") as connection:
            for name in self.made:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(
                    sql.Identifier(name)))


def _migrations_digest():
    digest = hashlib.sha256()
    for path in sorted((REPO / "migrations").rglob("*.*")):
        digest.update(path.read_bytes() if path.is_file() else b"")
    return digest.hexdigest()[:12]


def _password(project, role):
    """The one that ops/test gives for its server, else a new one: a mark to look for in logs."""
    given = os.environ.get(f"{project.upper()}_{role.upper()}_PASSWORD")
    if os.environ.get("TEST_PGHOST") and given:
        return given
    return f"canary-{secrets.token_hex(12)}"


def check_invariants(database):
    """Runs tests/db/check_invariants.sql; any row that it returns is a failure."""
    path = REPO / "tests" / "db" / "check_invariants.sql"
    server = database.server
    run = subprocess.run(
        ["psql", "-X", "-At", "-v", "ON_ERROR_STOP=1", "-h", server.host, "-p", str(server.port),
         "-U", server.user, "-d", database.name, "-f", str(path)],
        env={"PATH": os.environ["PATH"], "PGPASSWORD": server.password},
        capture_output=True, text=True, timeout=scaled(120))
    assert run.returncode == 0 and not run.stdout, (
        f"expected every invariant of the journal to hold in {database.name}:\n"
        f"{run.stdout}\n{run.stderr}")
