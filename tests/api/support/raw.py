"""HTTP/1.1 by hand: sends exactly the bytes given, and reads answers strictly."""

import json
import socket
import time
from dataclasses import dataclass, field

from support.settings import scaled

# Sent behind a payload once its first answer is there. Answers come in order, so whatever else the
# payload leads to is there before this one is answered; nothing has to be waited for.
LAST_ID = "the-last-one"
LAST = (f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: {LAST_ID}\r\n"
        "Connection: close\r\n\r\n").encode()


@dataclass
class Answer:
    status: int
    headers: list  # (lower-case name, value)
    body: bytes

    def header(self, name):
        values = [value for key, value in self.headers if key == name]
        assert len(values) <= 1, f"expected at most one {name} header, got {values}"
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)


@dataclass
class Exchange:
    answers: list = field(default_factory=list)
    closed: bool = False  # by the server, before it took a further request
    rest: bytes = b""  # what came and is no whole answer
    took_s: float = 0.0

    @property
    def statuses(self):
        return [answer.status for answer in self.answers]

    def __str__(self):
        end = "closed" if self.closed else "open"
        return f"answers {self.statuses}, connection {end}, rest {self.rest[:80]!r}"


class BadAnswer(AssertionError):
    pass


def parse_answer(data):
    """(answer, what follows), or None when it is not whole yet."""
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        return None
    lines = head.split(b"\r\n")
    version, _, status = lines[0].partition(b" ")
    if version != b"HTTP/1.1" or not status[:3].isdigit():
        raise BadAnswer(f"expected an HTTP/1.1 status line, got {lines[0][:100]!r}")
    headers = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not name or b" " in name or b"\n" in line or b"\r" in line or b"\0" in line:
            raise BadAnswer(f"bad header line {line[:100]!r} in an answer")
        headers.append((name.decode().lower(), value.strip().decode("latin-1")))
    status = int(status[:3])
    if status < 200:
        return Answer(status, headers, b""), rest
    lengths = [value for name, value in headers if name == "content-length"]
    if len(lengths) != 1 or not lengths[0].isdigit():
        raise BadAnswer(f"expected one Content-Length in an answer, got {lengths}")
    length = int(lengths[0])
    if len(rest) < length:
        return None
    return Answer(status, headers, rest[:length]), rest[length:]


def connect(port, timeout=5.0):
    connection = socket.create_connection(("127.0.0.1", port), scaled(timeout))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def exchange(port, payload, wait_s=5.0, pieces=None):
    """Sends payload (or the pieces, one by one) and gathers the answers until the server closes the
    connection, answers a further request on it, or wait_s is over."""
    result = Exchange()
    began = time.monotonic()
    with connect(port) as connection:
        _send(connection, pieces or [payload])
        _gather(connection, result, began + scaled(wait_s))
    result.took_s = time.monotonic() - began
    return result


def _send(connection, pieces):
    try:
        for piece in pieces:
            connection.sendall(piece)
            if len(pieces) > 1:
                time.sleep(0.001)  # separate segments are the point here
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server may close while it is still sent to; its answer can still be read


def _gather(connection, result, end):
    data, followed = b"", False
    while (pause := end - time.monotonic()) > 0:
        connection.settimeout(pause)
        try:
            chunk = connection.recv(65536)
        except TimeoutError:
            break
        except ConnectionResetError:
            chunk = b""
        if not chunk:
            result.closed = True
            break
        data += chunk
        while (parsed := parse_answer(data)) is not None:
            answer, data = parsed
            result.answers.append(answer)
        if result.answers and not followed:
            followed = True
            _send(connection, [LAST])
    result.rest = data
    if result.answers and result.answers[-1].header("x-request-id") == LAST_ID:
        result.answers.pop()
        result.closed = False


def request(method, target, headers=(), body=None, host="localhost", version="HTTP/1.1"):
    """Bytes of one request; `headers` are whole lines, taken as they are."""
    lines = [f"{method} {target} {version}".encode()]
    if host is not None:
        lines.append(f"Host: {host}".encode())
    for line in headers:
        lines.append(line if isinstance(line, bytes) else line.encode())
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")
