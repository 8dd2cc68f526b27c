"""What every service does besides its calls: health, metrics, log, start and stop."""

import json
import os
import re
import selectors
import signal
import socket
import threading
import time
import uuid
from pathlib import Path

import pytest

from support import prometheus, raw
from support.api import (NOBODY, PROBLEM, Auth, User, assert_ok, assert_problem,
                         assert_unauthorized, http_client, new_key, new_name)
from support.ports import free_port, is_listening
from support.service import Service, run_to_end
from support.settings import scaled
from support.waiting import wait_until

SERVICES = ("auth_api", "wallet_api")
LOCK = "SELECT FROM ledger.balance WHERE account_id = %s FOR UPDATE"


@pytest.fixture(params=SERVICES)
def service(request, auth_service, wallet_service):
    """Each of the session's services in turn."""
    return {"auth_api": auth_service, "wallet_api": wallet_service}[request.param]


@pytest.fixture
def settings_of(auth_settings, wallet_settings):
    return {"auth_api": auth_settings, "wallet_api": wallet_settings}


@pytest.fixture
def wallet(wallet_settings, tmp_path):
    """A wallet_api of the test's own; stopped by it or after it."""
    service = Service("wallet_api", wallet_settings, tmp_path).start()
    yield service
    service.stop()


# ---- /healthz, /readyz, /metrics ----

@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_health_needs_no_token(service, path):
    with http_client(service) as client:
        assert_ok(client.get(path))


def scrape(client):
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    return prometheus.parse(response.text)


def test_metrics_are_well_formed(service):
    with http_client(service) as client:
        families = scrape(client)
    assert "http_requests_total" in families
    assert families["http_request_duration_seconds"][0] == "histogram"


def test_metrics_count_requests_by_route_and_status(user, wallet_service):
    with http_client(wallet_service) as client:
        before = scrape(client)
        account = user.account()
        for _ in range(3):
            assert_ok(user.deposit(account, "1"))
        assert_problem(user.withdraw(account, "100"), 400)
        assert_ok(user.history(account))
        assert_problem(user.http.get("/no/such/path"), 404)
        after = scrape(client)

    def moved(family, **labels):
        return (prometheus.value(after, family, **labels)
                - prometheus.value(before, family, **labels))

    history = "/wallet/accounts/{id}/transactions"
    assert moved("http_requests_total", route="/wallet/deposit", status="200") == 3
    assert moved("http_requests_total", route="/wallet/withdraw", status="400") == 1
    assert moved("http_requests_total", route=history, status="200") == 1
    assert moved("http_requests_total", status="404") == 1
    assert moved("http_request_duration_seconds", route="/wallet/deposit") == 3
    assert moved("wallet_commands_total", kind="deposit", outcome="accepted") == 3
    assert moved("wallet_commands_total", kind="withdraw", outcome="insufficient_funds") == 1


def test_metrics_show_queues_and_database_connections(wallet_service):
    with http_client(wallet_service) as client:
        def shown():
            families = scrape(client)
            ready = [prometheus.value(families, "wallet_db_connections_ready", use=use)
                     for use in ("posting", "reading")]
            return min(ready) >= 1 and families
        families = wait_until(shown, "the gauges of the database connections to be set")
    for family in ("wallet_posting_queue", "wallet_read_queue", "http_connections"):
        assert families[family][0] == "gauge"


def test_metrics_have_no_label_made_by_clients(user, wallet_service):
    """A series per path would let any client fill the memory."""
    mark = "mark-" + uuid.uuid4().hex
    user.http.get(f"/wallet/{mark}")
    user.http.get(f"/wallet/accounts/{mark}/transactions")
    with http_client(wallet_service) as client:
        assert mark not in client.get("/metrics").text


# ---- ids, traces, the log ----

def test_request_id_is_taken_over(service):
    with http_client(service) as client:
        given = f"given-{uuid.uuid4().hex}"
        assert client.get("/healthz", headers={"X-Request-Id": given}).headers["x-request-id"] == (
            given)
        service.wait_log(lambda line: line.get("request_id") == given, f"with the id {given}")


def test_request_id_is_made_when_there_is_none(service):
    with http_client(service) as client:
        ids = {client.get("/healthz").headers["x-request-id"] for _ in range(10)}
    assert len(ids) == 10, "expected ten different ids"


def test_request_ids_of_errors_are_in_the_log(wallet_service):
    with http_client(wallet_service) as client:
        shown = assert_unauthorized(client.get("/wallet/accounts")) and client.get(
            "/wallet/accounts").headers["x-request-id"]
    line, = wallet_service.wait_log(lambda line: line.get("request_id") == shown, f"id {shown}")
    assert line["status"] == 401


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(("traceparent", "continued"), [
    (f"00-{TRACE}-00f067aa0ba902b7-01", True),
    (f"cc-{TRACE}-00f067aa0ba902b7-01-more", True),
    (f"ff-{TRACE}-00f067aa0ba902b7-01", False),
    (f"00-{'0' * 32}-00f067aa0ba902b7-01", False),
    (f"00-{TRACE.upper()}-00f067aa0ba902b7-01", False),
    (f"00-{TRACE}-00f067aa0ba902b7", False),
    ("nonsense", False)])
def test_traceparent_is_continued_in_the_log(wallet_service, traceparent, continued):
    given = f"trace-{uuid.uuid4().hex}"
    with http_client(wallet_service) as client:
        client.get("/healthz", headers={"X-Request-Id": given, "traceparent": traceparent})
    line, = wallet_service.wait_log(lambda line: line.get("request_id") == given, f"id {given}")
    assert (line.get("trace_id") == TRACE) is continued, f"expected the trace id or none: {line}"


def test_log_line_of_a_request_says_what_happened(user, wallet_service):
    given = f"line-{uuid.uuid4().hex}"
    account = user.account()
    user.http.get(f"/wallet/accounts/{account}/transactions", headers={"X-Request-Id": given})
    line, = wallet_service.wait_log(lambda line: line.get("request_id") == given, f"id {given}")
    assert line["method"] == "GET"
    assert line["route"] == "/wallet/accounts/{id}/transactions"
    assert line["path"] == f"/wallet/accounts/{account}/transactions"
    assert line["status"] == 200
    assert line["principal"] == user.id
    assert line["duration_us"] >= 0
    for member in ("time", "level", "service", "event"):
        assert line.get(member), f"expected the member {member} in {line}"


def test_log_is_one_json_object_per_line_whatever_clients_send(wallet_service):
    for target in ("/a%0ab", '/"quoted"', "/%e2%80%a8", "/" + "x" * 9000, "/%1b[31m"):
        raw.exchange(wallet_service.port, raw.request("GET", target))
    raw.exchange(wallet_service.port, raw.request("GET", "/x", [b"X-Request-Id: \xff\x1b{}"]))
    raw.exchange(wallet_service.port, b"\x00\xff\r\n\r\n")
    before = f"end-{uuid.uuid4().hex}"
    with http_client(wallet_service) as client:
        client.get("/healthz", headers={"X-Request-Id": before})
    wallet_service.wait_log(lambda line: line.get("request_id") == before, "every line is JSON")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", wallet_service.log_text())


def test_no_secret_is_in_any_log(auth, auth_service, wallet_service, auth_settings, wallet_settings,
                                 secret, new_user):
    """Passwords, tokens, keys and hashes: canaries that were sent in every place."""
    password, name = "canary-" + uuid.uuid4().hex, new_name()
    assert_ok(auth.register(name, password))
    token = assert_ok(auth.login(name, password))["access_token"]
    auth.login(name, password + "-wrong")
    auth.login(password, password)  # the password in the wrong field
    auth.http.post("/users/", content=f'{{"password": "{password}"'.encode(),
                   headers={"Content-Type": "application/json"})
    caller = new_user(token=token)
    caller.accounts()
    wallet = http_client(wallet_service)
    wallet.get("/wallet/accounts", headers={"Authorization": f"Basic {password}"})
    wallet.get("/wallet/accounts", headers={"Authorization": f"Bearer {password}"})
    wallet.get(f"/wallet/accounts?access_token={token}")
    wallet.close()
    canaries = [password, token, token.split(".")[2], secret, auth_settings["POSTGRES_PASSWORD"],
                wallet_settings["POSTGRES_PASSWORD"], "$2b$"]
    for service in (auth_service, wallet_service):
        text = service.log_text()
        assert text, "expected a log"
        for canary in canaries:
            assert canary not in text, f"a secret is in the log of {service.name}"


# ---- starting ----

@pytest.mark.parametrize("name", SERVICES)
def test_taken_port_is_one_clear_line(settings_of, name):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        run = run_to_end(name, {**settings_of[name], "UVICORN_PORT": str(port)})
    assert_refused(run, str(port))


@pytest.mark.parametrize("name", SERVICES)
def test_port_of_another_running_service_is_refused(settings_of, service, name):
    run = run_to_end(name, {**settings_of[name], "UVICORN_PORT": str(service.port)})
    assert_refused(run, str(service.port))


def assert_refused(run, *words):
    """Ended by itself, not by a signal, and its last line says why."""
    assert run.returncode > 0, f"expected a failed start, got {run.returncode}"
    lines = (run.stdout + run.stderr).strip().splitlines()
    assert lines, "expected a line that says why"
    for word in words:
        assert word in lines[-1], f"expected {word!r} in the last of {lines}"
    errors = [line for line in lines if '"level":"error"' in line or not line.startswith("{")]
    assert len(errors) <= 1, f"expected one line about what is wrong: {errors}"


@pytest.mark.parametrize("name", SERVICES)
def test_wrong_database_password_is_one_clear_line(settings_of, name):
    run = run_to_end(name, {**settings_of[name], "POSTGRES_PASSWORD": "canary-wrong-password",
                            "UVICORN_PORT": str(free_port())})
    assert_refused(run, "password authentication failed")
    assert "canary-wrong-password" not in run.stdout + run.stderr


@pytest.mark.parametrize("name", SERVICES)
def test_unknown_database_is_one_clear_line(settings_of, name):
    run = run_to_end(name, {**settings_of[name], "POSTGRES_DB": "no_such_database",
                            "UVICORN_PORT": str(free_port())})
    assert_refused(run, "no_such_database")


@pytest.mark.parametrize("name", SERVICES)
def test_database_that_does_not_come_is_one_clear_line(settings_of, name):
    port = free_port()
    run = run_to_end(name, {**settings_of[name], "POSTGRES_PORT": str(port),
                            "STARTUP_TIMEOUT_MS": "500", "UVICORN_PORT": str(free_port())})
    assert_refused(run, str(port))


@pytest.mark.parametrize(("name", "schema"), [("auth_api", "auth"), ("wallet_api", "ledger")])
@pytest.mark.parametrize("version", ["newer", "none"])
def test_unknown_schema_version_is_refused(databases, secret, name, schema, version):
    database = databases.copy(name.removesuffix("_api"))
    table = f"{schema}.schema_version"
    if version == "newer":
        database.execute(f"INSERT INTO {table} (version) VALUES (9999)")
    else:
        database.execute("SET session_replication_role = replica; "
                         f"DELETE FROM {table}")
    run = run_to_end(name, {**database.environment(), "JWT_SECRET": secret,
                            "UVICORN_PORT": str(free_port())})
    assert_refused(run, "version")


@pytest.mark.parametrize("name", SERVICES)
def test_database_without_migrations_is_refused(databases, settings_of, name):
    database = databases.copy(name.removesuffix("_api"))
    database.execute("DROP SCHEMA " + {"auth_api": "auth", "wallet_api": "ledger"}[name]
                     + " CASCADE")
    run = run_to_end(name, {**settings_of[name], "POSTGRES_DB": database.name,
                            "UVICORN_PORT": str(free_port())})
    assert_refused(run, "migrations")


@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("role", ["owner", "superuser"])
def test_owner_and_superuser_are_refused(databases, settings_of, name, role):
    project = name.removesuffix("_api")
    database = databases.copy(project)
    settings = {**settings_of[name], **database.environment(), "UVICORN_PORT": str(free_port())}
    if role == "owner":
        settings.update(database.environment("owner"))
    else:
        settings.update(POSTGRES_USER=database.server.user,
                        POSTGRES_PASSWORD=database.server.password)
    assert_refused(run_to_end(name, settings), role if role == "superuser" else "own")


def test_member_of_the_owner_is_refused(databases, secret):
    """A member may SET ROLE, and then switch the guards off."""
    database = databases.copy("wallet")
    role = f"member_{uuid.uuid4().hex[:8]}"
    with database.connect() as connection:
        connection.execute(
            f"CREATE ROLE {role} LOGIN PASSWORD 'canary-member' IN ROLE wallet_owner")
        connection.execute(f"GRANT CONNECT ON DATABASE {database.name} TO {role}")
    try:
        run = run_to_end("wallet_api", {
            **database.environment(), "POSTGRES_USER": role, "POSTGRES_PASSWORD": "canary-member",
            "JWT_SECRET": secret, "UVICORN_PORT": str(free_port())})
        assert_refused(run, "own")
    finally:
        database.execute(f"REVOKE CONNECT ON DATABASE {database.name} FROM {role}")
        database.execute(f"DROP ROLE {role}")


def test_unknown_ledger_and_currency_are_refused(wallet_settings):
    for change in ({"LEDGER_NAME": "nowhere"}, {"DEFAULT_CURRENCY": "XYZ"}):
        run = run_to_end("wallet_api", {**wallet_settings, **change,
                                        "UVICORN_PORT": str(free_port())})
        assert_refused(run, *change)


def test_default_currency_is_obeyed(wallet_settings, secret, tmp_path):
    settings = {**wallet_settings, "DEFAULT_CURRENCY": "JPY"}
    service = Service("wallet_api", settings, tmp_path).start()
    try:
        body = assert_ok(User(service, secret).open(), 201)
        assert (body["currency"], body["balance"]) == ("JPY", "0")
    finally:
        service.stop()


# ---- stopping ----

@pytest.mark.parametrize("name", SERVICES)
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_stop_signal_ends_an_idle_service_with_0(settings_of, tmp_path, name, signum):
    service = Service(name, settings_of[name], tmp_path).start()
    idle = [raw.connect(service.port) for _ in range(20)]  # must not hold it up
    began = time.monotonic()
    service.process.send_signal(signum)
    status = service.process.wait(timeout=scaled(10))
    for connection in idle:
        connection.close()
    service.process = None
    assert status == 0, f"expected 0, got {status}:\n{service.log_tail()}"
    assert time.monotonic() - began < scaled(3), "expected an idle service to end at once"
    assert not is_listening(service.port)
    service.check_log()


def test_sigterm_finishes_requests_in_flight(wallet, wallet_database, secret):
    """Held up by a lock when the signal comes, answered when the lock is gone, then over."""
    user = User(wallet, secret)
    account, key = user.account(funds="5"), new_key()
    with wallet_database.connect() as connection, connection.transaction():
        connection.execute(LOCK, (account,))
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(user.deposit(account, "1", key=key)))
        thread.start()
        wait_until(lambda: wallet_database.query(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"), "the deposit waits for the lock")
        wallet.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not is_listening(wallet.port), "no further connection is taken")
        assert wallet.process.poll() is None, "expected it to wait for the request in flight"
    thread.join(scaled(10))
    assert assert_ok(answers[0])["new_balance"] == "6.00"
    assert answers[0].headers.get("connection") == "close"
    status = wallet.process.wait(timeout=scaled(10))
    wallet.process = None
    assert status == 0, f"expected 0 after draining, got {status}:\n{wallet.log_tail()}"
    wallet.check_log()


def test_sigterm_waits_no_longer_than_10_s_for_what_never_ends(wallet, wallet_database, secret):
    user = User(wallet, secret)
    account = user.account(funds="5")
    with wallet_database.connect() as connection, connection.transaction():
        connection.execute(LOCK, (account,))
        answers = []
        thread = threading.Thread(target=lambda: answers.append(user.deposit(account, "1")))
        thread.start()
        wait_until(lambda: wallet_database.query(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"), "the deposit waits for the lock")
        took_s = wallet.stop()
        thread.join(scaled(10))
    assert took_s < scaled(10)
    assert answers and answers[0].status_code == 503, "expected an answer before the end"


def test_auth_api_finishes_a_login_in_flight(auth_settings, tmp_path):
    service = Service("auth_api", {**auth_settings, "BCRYPT_COST": "12"}, tmp_path).start()
    auth, answers = Auth(service), []
    thread = threading.Thread(target=lambda: answers.append(auth.login(new_name(), "password")))
    thread.start()
    with http_client(service) as client:
        wait_until(lambda: prometheus.value(scrape(client), "http_in_flight") >= 2,
                   "the login is in flight")
    service.stop()
    thread.join(scaled(10))
    assert_problem(answers[0], 401, "Invalid credentials")


def test_hashing_gives_way_to_everything_else(auth_service):
    """One thread of low priority, one that runs on a core that is idle: as many as there are cores, at most two."""
    process = os.getpriority(os.PRIO_PROCESS, auth_service.process.pid)
    kinds = []
    for thread in Path(f"/proc/{auth_service.process.pid}/task").iterdir():
        fields = (thread / "stat").read_text().rpartition(")")[2].split()
        policy, nice = int(fields[38]), int(fields[16])
        kinds.append("idle" if policy == os.SCHED_IDLE else "low" if nice > process else "normal")
    assert kinds.count("idle") == (1 if len(os.sched_getaffinity(0)) > 1 else 0)
    assert kinds.count("low") == (1 if process < 10 else 0)  # it is low already
    assert "workers_priority_not_lowered" not in auth_service.log_text()


# ---- the database goes and comes ----

@pytest.fixture
def cut(databases, wallet_settings, tmp_path):
    """(service, break, mend) with a database of its own that can be made unreachable."""
    database = databases.copy("wallet")
    service = Service("wallet_api", {**wallet_settings, **database.environment()}, tmp_path).start()

    def set_reachable(reachable):
        with database.server.connect("postgres") as connection:
            connection.execute(f"ALTER DATABASE {database.name} ALLOW_CONNECTIONS {reachable}")
            # Until each is gone: a batch that a dying one still gets is in doubt, not refused.
            connection.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                               " WHERE datname = %s", (database.name,))

    yield service, lambda: set_reachable(False), lambda: set_reachable(True)
    set_reachable(True)
    service.stop()


def is_refused_at_once(call):
    """503 always; at once after a short grace, in which interruptions are bridged."""
    began = time.monotonic()
    response = call()
    took_s = time.monotonic() - began
    assert_problem(response, 503)
    assert int(response.headers["retry-after"]) >= 1
    assert took_s < scaled(2), f"expected no wait for the deadline, it took {took_s:.1f} s"
    return took_s < scaled(0.2)


def test_database_away_is_503_at_once_and_comes_back_by_itself(cut, secret):
    service, break_it, mend_it = cut
    user = User(service, secret)
    account, key = user.account(funds="5"), new_key()
    break_it()
    wait_until(lambda: service.probe("/readyz") == 503, "/readyz answers 503", seconds=5)
    assert service.probe("/healthz") == 200, "expected the process itself to be well"
    calls = {
        "deposit": lambda: user.deposit(account, "1", key=key),
        "withdraw": lambda: user.withdraw(account, "1"),
        "transfer": lambda: user.transfer(account, NOBODY, "1"),
        "accounts": user.accounts, "open": user.open, "history": lambda: user.history(account),
        "batch": lambda: user.http.post("/wallet/batch", json={"operations": [
            {"type": "deposit", "account_id": account, "amount": "1",
             "idempotency_key": new_key()}]}),
    }
    for name, call in calls.items():
        wait_until(lambda: is_refused_at_once(call), f"{name} is refused at once", seconds=5)
    # Whoever is wrong is told so without any database.
    assert_problem(user.deposit(account, "x"), 422)
    assert_unauthorized(user.http.get("/wallet/accounts",
                                      headers={"Authorization": "Bearer a.b.c"}))
    mend_it()
    wait_until(lambda: service.probe("/readyz") == 200, "/readyz answers 200 by itself", seconds=10)
    assert assert_ok(user.deposit(account, "1", key=key))["new_balance"] == "6.00"
    assert len(user.rows(account)) == 2, "expected nothing to be posted by the refused calls"


def test_queue_that_is_full_is_503_with_retry_after(wallet_settings, databases, secret, tmp_path):
    """While the posting connection waits for a lock, commands pile up to the limit, not beyond."""
    limit, in_a_batch, count = 1000, 256, 1300
    database = databases.copy("wallet")
    service = Service("wallet_api", {**wallet_settings, **database.environment(), "THREADS": "1",
                                     "POSTING_QUEUE_MAX": str(limit),
                                     "POSTING_BATCH_MAX": str(in_a_batch)}, tmp_path).start()
    user = User(service, secret)
    account = user.account(funds="5")
    clients = []
    try:
        with database.connect() as connection, connection.transaction():
            connection.execute(LOCK, (account,))
            clients = [send_deposit(service, user.token, account) for _ in range(count)]
            answers, least = [], count - limit - in_a_batch
            wait_until(lambda: answers.extend(answered(clients)) or len(answers) >= least,
                       f"at least {least} of {count} deposits are refused", 4)
    finally:
        for client in clients:
            client.close()
        service.stop()
    for answer in answers:
        assert (answer.status, answer.header("content-type")) == (503, PROBLEM), answer
        assert int(answer.header("retry-after")) >= 1
        assert answer.json()["type"] == "urn:pacioli:problem:overloaded"
    assert len(answers) <= count - limit, (
        f"expected {limit} to wait, {len(answers)} of {count} were refused")


def send_deposit(service, token, account):
    """Sends a deposit and leaves its answer unread."""
    body = json.dumps({"account_id": account, "amount": "1", "idempotency_key": new_key()}).encode()
    connection = raw.connect(service.port)
    connection.sendall(raw.request("POST", "/wallet/deposit", [
        f"Authorization: Bearer {token}", "Content-Type: application/json"], body))
    return connection


def answered(clients):
    """The answers that have come; the deadline of a request (5 s) is not over yet."""
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ)
        return [raw.parse_answer(key.fileobj.recv(65536))[0] for key, _ in selector.select(0.5)]
