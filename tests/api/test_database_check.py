"""A service does not start on a database that could lose or bend what it promises (db_check)."""

import subprocess

import pytest

from support.cluster import PG_BIN, Cluster
from support.databases import Databases
from support.ports import free_port
from support.service import Service, run_to_end
from support.settings import scaled
from support.waiting import wait_until

# Server settings that need a restart or a reload, and a word of the refusal.
SERVER_SETTINGS = [
    ("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off"),
    ("synchronous_commit", "local"), ("data_sync_retry", "on"), ("max_prepared_transactions", "5"),
]

# What the service's role alone can have wrong: (statement, statement that undoes it, word).
ROLE_SETTINGS = {
    "synchronous_commit": ("ALTER ROLE auth_service SET synchronous_commit = off",
                           "ALTER ROLE auth_service RESET ALL", "synchronous_commit is off"),
    "triggers": ("ALTER ROLE auth_service SET session_replication_role = replica",
                 "ALTER ROLE auth_service RESET ALL", "session_replication_role is replica"),
    "strings": ("ALTER ROLE auth_service SET standard_conforming_strings = off",
                "ALTER ROLE auth_service RESET ALL", "standard_conforming_strings is off"),
    "read_only": ("ALTER ROLE auth_service SET default_transaction_read_only = on",
                  "ALTER ROLE auth_service RESET ALL", "read-only"),
    "createrole": ("ALTER ROLE auth_service CREATEROLE", "ALTER ROLE auth_service NOCREATEROLE",
                   "createrole is true"),
    "superuser": ("ALTER ROLE auth_service SUPERUSER", "ALTER ROLE auth_service NOSUPERUSER",
                  "superuser is true"),
    "owner": ("GRANT auth_owner TO auth_service", "REVOKE auth_owner FROM auth_service",
              "owner is true"),
    "owner_of_one_function": (
        "CREATE FUNCTION auth.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; "
        "ALTER FUNCTION auth.f() OWNER TO auth_service",
        "DROP FUNCTION auth.f()", "owner is true"),
}


@pytest.fixture(scope="module")
def own_server():
    """A cluster of our own: the session's must keep its settings."""
    server = Cluster().create()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def database(own_server):
    return Databases(own_server).copy("auth")


@pytest.fixture
def settings(database, secret):
    return {**database.environment(), "JWT_SECRET": secret, "BCRYPT_COST": "4",
            "STARTUP_TIMEOUT_MS": "0", "UVICORN_PORT": str(free_port())}


def restart(server, **options):
    if server.process.poll() is None:
        server.shut_down()
    server.options.update(options)
    server.start()


def refusal(settings):
    """The last line of a start that failed."""
    run = run_to_end("auth_api", settings)
    assert run.returncode > 0, f"expected auth_api not to start:\n{run.stderr}"
    return run.stderr.strip().splitlines()[-1]


def test_a_good_database_is_accepted(settings, folder):
    service = Service("auth_api", settings, folder / "good").start()
    events = [line["event"] for line in service.log_lines()]
    service.stop()
    assert "database_without_checksums" not in events


@pytest.mark.parametrize(("name", "value"), SERVER_SETTINGS)
def test_a_setting_that_endangers_commits_is_refused(own_server, settings, name, value):
    kept = dict(own_server.options)
    restart(own_server, **{name: value})
    try:
        line = refusal(settings)
    finally:
        own_server.options = kept
        restart(own_server)
    assert f"{name} is {value}" in line


@pytest.mark.parametrize("what", ROLE_SETTINGS)
def test_a_role_that_could_go_round_the_guards_is_refused(database, settings, what):
    make, undo, word = ROLE_SETTINGS[what]
    database.execute(make)
    try:
        line = refusal(settings)
    finally:
        database.execute(undo)
    assert word in line


@pytest.mark.parametrize("value", ["remote_write", "remote_apply"])
def test_stronger_commits_are_accepted(database, settings, folder, value):
    database.execute(f"ALTER ROLE auth_service SET synchronous_commit = {value}")
    try:
        Service("auth_api", settings, folder / value).start().stop()
    finally:
        database.execute("ALTER ROLE auth_service RESET ALL")


def test_another_encoding_is_refused(own_server, database, settings):
    with own_server.connect("postgres") as connection:
        connection.execute("CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII'"
                           " LC_COLLATE 'C' LC_CTYPE 'C'")
    with own_server.connect("ascii") as connection:
        connection.execute("CREATE SCHEMA auth")
    assert "server_encoding is SQL_ASCII" in refusal({**settings, "POSTGRES_DB": "ascii"})


def test_missing_checksums_are_a_warning(own_server, settings, folder):
    if not (PG_BIN / "pg_checksums").exists():
        pytest.skip("this build of PostgreSQL has no pg_checksums; Debian's, of 15, has it")
    own_server.shut_down()
    for switch in ("--disable", "--enable"):
        subprocess.run(own_server._as_server(PG_BIN / "pg_checksums", switch, "-D", own_server.data),
                       check=True, capture_output=True, cwd=own_server.folder)
        if switch == "--disable":
            own_server.start()
            service = Service("auth_api", settings, folder / "checksums").start()
            lines = {line["event"]: line["level"] for line in service.log_lines()}
            service.stop()
            own_server.shut_down()
    own_server.start()
    assert lines.get("database_without_checksums") == "warn"


def test_a_database_that_comes_later_is_waited_for(own_server, settings, folder):
    own_server.shut_down()
    service = Service("auth_api", {**settings, "STARTUP_TIMEOUT_MS": "30000"}, folder / "later")
    service.start(wait=False)
    try:
        service.wait_log(lambda line: line["event"] == "database_wait", "waiting for the database")
        assert service.probe("/readyz") is None, "expected nobody to listen before the check"
    finally:
        own_server.start()
    service.wait_ready()
    service.stop()


def test_waiting_for_the_database_ends_with_sigterm(own_server, settings, folder):
    own_server.shut_down()
    service = Service("auth_api", {**settings, "STARTUP_TIMEOUT_MS": "600000"}, folder / "stopped")
    service.start(wait=False)
    try:
        wait_until(lambda: "database_wait" in service.log_text(), "auth_api waits", seconds=10)
        service.process.terminate()
        status = service.process.wait(timeout=scaled(10))
    finally:
        service.process.kill()
        service.process.wait()
        own_server.start()
    assert status in (0, 1), f"expected an end in good order, got {status}"
    assert "stopped while waiting" in service.log_text()
