"""Many clients at once, on plain connections: what they sent, and what they were told."""

import http.client
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from support.api import new_key
from support.settings import scaled


@dataclass
class Call:
    """One money call. status is None when no answer came: its outcome is not known."""

    path: str
    body: dict
    token: str
    status: int = None
    answer: dict = None
    sent: float = 0.0
    answered: float = 0.0

    @property
    def key(self):
        return self.body["idempotency_key"]


class Client:
    """One connection, opened again when it is lost."""

    def __init__(self, port, token):
        self.port, self.token = port, token
        self.connection = None

    def send(self, path, body):
        """Fills a Call; never raises for a lost connection."""
        call = Call(path, body, self.token, sent=time.monotonic())
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                             timeout=scaled(10))
            self.connection.request("POST", path, json.dumps(body), {
                "Content-Type": "application/json", "Authorization": f"Bearer {self.token}"})
            response = self.connection.getresponse()
            call.answer = json.loads(response.read())
            call.status = response.status
            if response.will_close:
                self.close()
        except (OSError, http.client.HTTPException, ValueError):
            self.close()
        call.answered = time.monotonic()
        return call

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


def transfer_body(source, destination, amount="1", key=None):
    return {"from_account_id": source, "to_account_id": destination, "amount": amount,
            "idempotency_key": key or new_key()}


def money_body(account, amount="1", key=None):
    return {"account_id": account, "amount": amount, "idempotency_key": key or new_key()}


def together(count, work):
    """work(n) in `count` threads that begin at the same moment; the results in order."""
    gate = threading.Barrier(count)

    def begin(number):
        gate.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


class Load:
    """Clients that go on calling next_call(n) -> (path, body) until they are told to stop."""

    def __init__(self, ports, tokens, next_call):
        self.stopping = threading.Event()
        self.calls = [[] for _ in tokens]
        self.threads = [
            threading.Thread(target=self._run, args=(number, ports[number % len(ports)], token,
                                                     next_call), daemon=True)
            for number, token in enumerate(tokens)]

    def _run(self, number, port, token, next_call):
        client = Client(port, token)
        while not self.stopping.is_set():
            call = client.send(*next_call(number))
            self.calls[number].append(call)
            if call.status is None or call.status == 503:
                time.sleep(0.1)  # as a polite client would
        client.close()

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def stop(self):
        """All calls, in no particular order."""
        self.stopping.set()
        for thread in self.threads:
            thread.join(scaled(30))
            assert not thread.is_alive(), "expected every request to end; one hangs"
        return self.all()

    def all(self):
        return [call for calls in self.calls for call in list(calls)]

    def succeeded(self):
        return sum(1 for call in self.all() if call.status == 200)
