"""Slow and silent clients: others are served as usual, memory stays small, and the slow ones are
sent away (reliability.md 7.2, the line "idle, partial header, ...", and 7.4 H-2)."""

import selectors
import socket
import time
import uuid

import pytest

from support import tokens
from support.raw import connect, parse_answer, request
from support.service import Service
from support.settings import SLOW, scaled
from support.waiting import wait_until

IDLE_COUNT = 2000
DRIP_COUNT = 50
NORMAL_REQUESTS_PER_S = 100
P99_LIMIT_S = scaled(0.1)
MEMORY_LIMIT_MIB = 200


@pytest.fixture(scope="module")
def service(wallet_settings, folder):
    service = Service("wallet_api", wallet_settings, folder).start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def bearer(secret):
    return f"Authorization: Bearer {tokens.access_token(uuid.uuid4(), secret)}"


class Normal:
    """One client on a connection of its own that measures how long its requests take."""

    def __init__(self, port, bearer):
        self.port, self.bearer = port, bearer
        self.connection = connect(port)
        self.took_s = []

    def ask(self):
        began = time.perf_counter()
        self.connection.sendall(request("GET", "/wallet/accounts", [self.bearer]))
        data = b""
        while (parsed := parse_answer(data)) is None:
            chunk = self.connection.recv(65536)
            assert chunk, "expected a normal client to be served"
            data += chunk
        assert parsed[0].status == 200, f"expected 200 for a normal client, got {parsed[0]}"
        self.took_s.append(time.perf_counter() - began)

    def p99(self):
        ordered = sorted(self.took_s)
        return ordered[int(len(ordered) * 0.99)]


def drips(port):
    """Sockets that send a request byte by byte, each at another place of it."""
    head = request("POST", "/wallet/deposit", ["Content-Length: 1000", "X-Pad: " + "p" * 200])
    clients = []
    for number in range(DRIP_COUNT):
        connection = connect(port)
        # Some are within the head, some within the body.
        sent = number % 40 if number % 2 else len(head) + number
        connection.sendall((head + b"{" * 100)[:sent])
        clients.append([connection, (head + b"{" * 1000)[sent:]])
    return clients


def test_2000_idle_and_50_dripping_connections_do_not_hold_up_others(service, bearer, capsys):
    before = service.memory_mib()
    idle = [connect(service.port) for _ in range(IDLE_COUNT)]
    dripping = drips(service.port)
    normal = Normal(service.port, bearer)
    try:
        turns = 3 * NORMAL_REQUESTS_PER_S
        began = time.monotonic()
        for turn in range(turns):
            if turn % NORMAL_REQUESTS_PER_S == 0:  # one byte a second
                for client in dripping:
                    client[0].send(client[1][:1])
                    client[1] = client[1][1:]
            normal.ask()
            # Keeps to the rate; it is the load that is given, nothing is waited for.
            time.sleep(max(0.0, began + (turn + 1) / NORMAL_REQUESTS_PER_S - time.monotonic()))
        memory = service.memory_mib()
        # New ones are accepted beside them, too.
        newcomer = Normal(service.port, bearer)
        newcomer.ask()
        newcomer.connection.close()
    finally:
        for connection in [*idle, *(client[0] for client in dripping), normal.connection]:
            connection.close()
    p99 = normal.p99()
    with capsys.disabled():
        print(f"\n  {IDLE_COUNT} idle and {DRIP_COUNT} dripping connections beside "
              f"{NORMAL_REQUESTS_PER_S} requests/s: p99 {p99 * 1000:.1f} ms, "
              f"memory {before:.0f} -> {memory:.0f} MiB")
    assert p99 < P99_LIMIT_S, f"expected a p99 below {P99_LIMIT_S} s, got {p99:.3f} s"
    if not SLOW:
        assert memory < MEMORY_LIMIT_MIB, f"expected less than {MEMORY_LIMIT_MIB} MiB: {memory:.0f}"


def test_descriptors_are_given_back(service):
    """After the test before, nothing of its 2,000 connections is left."""
    wait_until(lambda: service.descriptors() < 100,
               "the service has closed the connections that its clients closed", seconds=15)


SLOWNESS = {
    "idle": (b"", b""),
    "partial_head": (b"GET /healthz HTTP/1.1\r\nHost: loc", b""),
    "head_drip": (b"GET /healthz HTTP/1.1\r\nX-A: ", b"a"),
    "body_silence": (request("POST", "/wallet/deposit", ["Content-Length: 100"]), b""),
    "body_drip": (request("POST", "/wallet/deposit", ["Content-Length: 100"]), b"a"),
    "idle_after_an_answer": (request("GET", "/healthz"), b""),
}


def test_slow_clients_are_sent_away(service):
    """All kinds at once: each is closed by the service after about 10 seconds, never later."""
    limit = scaled(20)
    began = time.monotonic()
    waiting = {}
    with selectors.DefaultSelector() as selector:
        for name, (first, drip) in SLOWNESS.items():
            connection = connect(service.port)
            connection.sendall(first)
            selector.register(connection, selectors.EVENT_READ, (name, drip))
            waiting[name] = connection
        closed = {}
        while waiting and time.monotonic() - began < limit:
            for key, _ in selector.select(0.5):
                name = key.data[0]
                if not _receive(key.fileobj):
                    closed[name] = time.monotonic() - began
                    selector.unregister(key.fileobj)
                    waiting.pop(name).close()
            for key in list(selector.get_map().values()):
                _send(key.fileobj, key.data[1])
    for connection in waiting.values():
        connection.close()
    assert not waiting, f"expected all to be closed within {limit} s, left: {sorted(waiting)}"
    for name, after_s in closed.items():
        assert after_s > 2, f"expected {name} to be given some time, closed after {after_s:.1f} s"


def _receive(connection):
    try:
        return connection.recv(65536)
    except ConnectionResetError:
        return b""


def _send(connection, data):
    try:
        if data:
            connection.send(data)
    except OSError:
        pass


def test_answer_that_is_not_taken_does_not_hold_up_others(service, bearer):
    """A client that asks and asks, and reads nothing."""
    with socket.socket() as greedy:
        greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greedy.connect(("127.0.0.1", service.port))
        greedy.settimeout(0.5)
        before = service.memory_mib()
        payload = request("GET", "/openapi.json") * 50
        try:
            for _ in range(100):
                greedy.sendall(payload)
        except OSError:
            pass  # its own sending is held up, or it was sent away: both are right
        normal = Normal(service.port, bearer)
        for _ in range(50):
            normal.ask()
        normal.connection.close()
        if not SLOW:
            assert service.memory_mib() < before + 32, "expected no hoard of unread answers"
    assert max(normal.took_s) < scaled(0.5), f"expected quick answers: {max(normal.took_s):.3f} s"
