"""The two services, running on databases of their own, for all tests of this folder."""

import json
import os
import resource
import secrets
import signal
import uuid

import pytest

from support import openapi, recorder, tokens
from support.api import Auth, User
from support.books import Reader
from support.cluster import Cluster, GivenServer
from support.databases import Databases, check_invariants
from support.service import Service
from support.settings import BUILD


@pytest.fixture(scope="session")
def server():
    """The PostgreSQL that ops/test gives, or a private one."""
    server = GivenServer() if os.environ.get("TEST_PGHOST") else Cluster().create()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def databases(server):
    databases = Databases(server)
    yield databases
    databases.drop()


@pytest.fixture(scope="session")
def secret():
    """JWT_SECRET of all services; the mark is searched for in the logs."""
    return "canary-" + secrets.token_hex(24)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("services")


@pytest.fixture(scope="session")
def auth_database(databases):
    return databases.copy("auth")


@pytest.fixture(scope="session")
def auth_settings(auth_database, secret):
    """Environment of an auth_api; bcrypt is as cheap as it can be, and all tests are one address,
    which guesses more than anybody may (test_guessing.py sets limits of its own)."""
    return {**auth_database.environment(), "JWT_SECRET": secret, "BCRYPT_COST": "4",
            "THREADS": "2", "LOGIN_FREE_FAILURES": "1000", "LOGIN_ADDRESS_BURST": "1000000",
            "LOGIN_ALL_BURST": "1000000"}


def pytest_configure():
    """Some tests hold thousands of sockets, and so do the services that they start."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft < 8192 <= hard else soft, hard))
    # A run that is ended from outside still cleans up.
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("SIGTERM", 143))


def pytest_unconfigure():
    """Whatever failed, nothing stays running."""
    for process in Service.running:
        if process.poll() is None:
            process.kill()
            process.wait()
    for cluster in Cluster.made:
        cluster.stop()


journals = []  # databases of running wallet services


@pytest.fixture(scope="session")
def wallet_database(databases):
    database = databases.copy("wallet")
    journals.append(database)
    return database


@pytest.fixture(scope="session")
def wallet_settings(wallet_database, secret):
    return {**wallet_database.environment(), "JWT_SECRET": secret, "THREADS": "2"}


@pytest.fixture(scope="session")
def auth_service(auth_settings, folder):
    service = Service("auth_api", auth_settings, folder).start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def wallet_service(wallet_settings, folder):
    service = Service("wallet_api", wallet_settings, folder).start()
    yield service
    service.stop()


@pytest.fixture(scope="session")
def auth(auth_service):
    return Auth(auth_service)


@pytest.fixture
def new_user(wallet_service, secret):
    """Makes users of wallet_api; their connections are closed after the test."""
    users = []

    def make(**more):
        users.append(User(wallet_service, secret, **more))
        return users[-1]

    yield make
    for user in users:
        user.http.close()


@pytest.fixture
def user(new_user):
    return new_user()


@pytest.fixture
def other(new_user):
    """Somebody else."""
    return new_user()


# ---- a wallet_api of a file's own ----

@pytest.fixture(scope="module")
def database(databases):
    """Files that need more in it have a fixture of this name themselves."""
    return databases.copy("wallet")


@pytest.fixture(scope="module")
def service(database, secret, folder):
    service = Service("wallet_api", {**database.environment(), "JWT_SECRET": secret,
                                     "THREADS": "2"}, folder).start()
    yield service
    service.stop()
    check_invariants(database)


@pytest.fixture(scope="module")
def make(service, secret):
    """Makes somebody with those roles."""
    users = []

    def make(*roles):
        who = uuid.uuid4()
        token = tokens.access_token(who, secret, roles=list(roles))
        users.append(User(service, secret, token=token, user_id=who))
        return users[-1]

    yield make
    for user in users:
        user.http.close()


@pytest.fixture(scope="module")
def reader(service, secret):
    reader = Reader(service, secret)
    yield reader
    reader.http.close()


@pytest.fixture(scope="session", autouse=True)
def answers_are_documented():
    """After all tests: whatever was answered stands in the service's own OpenAPI document."""
    yield
    if not recorder.answers():
        return
    documents = {name: json.loads((BUILD / "share" / "openapi" / f"{name}.json").read_text())
                 for name in {answer.service for answer in recorder.answers()}}
    wrong = [problem for answer in recorder.answers()
             for problem in openapi.check_answer(documents[answer.service], *answer[1:])]
    assert not wrong, "expected answers as documented:\n" + "\n".join(sorted(set(wrong)))


@pytest.fixture(scope="module", autouse=True)
def books_balance():
    """After each file every journal that was written to holds every invariant."""
    yield
    for database in list(journals):
        check_invariants(database)
