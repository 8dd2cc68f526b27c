"""The clients: a process of its own that writes down what it sends and what it is told.

    /usr/bin/python3 -m rig.load CONFIG.json        (see Load for what stands in it)

Prints one JSON object per line: {"ready": ...} once every account is funded, counts every second,
and {"stopped": ...} and {"resolved": ...} as answers to the words "stop" and "resolve", which it
reads from standard input. Many clients are coroutines of one thread: they wait for the services
most of the time.
"""

import asyncio
import json
import logging
import random
import sys
import threading
import time
from collections import Counter

from rig import history, shapes
from rig.history import FAILED, NOT_DONE, POSTED, REFUSED, REPLAYED, UNKNOWN, USED, Request

TIMEOUT_S = 20.0  # longer than a deadline (5 s) behind a long SIGSTOP, and behind another one
ASKERS = 32  # at the same time, in the final phase


class Lost(Exception):
    """No answer; the text says why."""


class Connection:
    """Keep-alive HTTP/1.1 to one service, opened when it is needed."""

    def __init__(self, port):
        self.port = port
        self.reader = self.writer = None

    async def call(self, payload, abandon=False):
        """(status, replayed, cursor, body); or Lost: "unsent" is certain, the rest is not."""
        if self.writer is not None and self.reader.at_eof():
            self.close()  # the service has closed it while it was idle
        if self.writer is None:
            try:
                self.reader, self.writer = await asyncio.wait_for(
                    asyncio.open_connection("127.0.0.1", self.port), TIMEOUT_S)
            except (OSError, asyncio.TimeoutError) as error:
                raise Lost("unsent") from error
        try:
            self.writer.write(payload)
            if not abandon:
                return await asyncio.wait_for(self._answer(), TIMEOUT_S)
            await self.writer.drain()
            reason = "abandoned"
        except asyncio.TimeoutError:
            reason = "timeout"
        except (OSError, asyncio.IncompleteReadError):
            reason = "cut"
        self.close()
        raise Lost(reason)

    async def _answer(self):
        head = await self.reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        status, length, replayed, cursor, close = int(lines[0][9:12]), 0, False, None, False
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.lower()
            if name == "content-length":
                length = int(value)
            elif name == "idempotent-replayed":
                replayed = value.strip() == "true"
            elif name == "x-next-cursor":
                cursor = int(value)
            elif name == "connection":
                close = value.strip().lower() == "close"
        body = await self.reader.readexactly(length)
        if close:
            self.close()
        return status, replayed, cursor, body.decode()

    def close(self):
        if self.writer is not None:
            self.writer.close()
            self.reader = self.writer = None


class Load:
    """Everything that the clients share. The configuration: ports, tokens (of the users), setup,
    seed, clients, rate (operations a second, 0: as many as they can), history (path), only (weights
    of shapes.py, or null), abandon (share of requests whose client leaves at once), resolve_s."""

    def __init__(self, config):
        self.ports, self.tokens = config["ports"], config["tokens"]
        self.setup = history.Setup(config["setup"])
        self.seed, self.clients = config["seed"], config["clients"]
        self.pause_s = self.clients / config["rate"] if config["rate"] else 0.0
        self.abandon, self.resolve_s = config["abandon"], config["resolve_s"]
        self.writer = history.Writer(config["history"])
        self.shapes = shapes.Shapes(self.setup, self.seed, config["only"])
        self.stopping = False
        self.final = False
        self.count = 0
        self.sent = Counter()
        self.outcomes = Counter()
        self.open = {}  # key, or the keys of an atomic batch: the operation to ask again

    # ---- one request ----

    async def send(self, operation, connections, service, **more):
        """Writes it down, sends it, writes the answer down; returns what it says."""
        self.count += 1
        number = self.count
        record = {"e": "i", "n": number, "t": 0, "s": service, **operation, **more}
        if self.final:
            record["f"] = 1
        payload = shapes.encode(self.setup, operation, self.tokens[operation["u"]])
        abandon = not self.final and self.abandon > 0 and random.random() < self.abandon
        answer = {"e": "a", "n": number, "t": 0}
        record["t"] = time.monotonic_ns()
        self.writer.write(record)
        try:
            status, replayed, cursor, body = await connections[service].call(payload, abandon)
            answer.update(t=time.monotonic_ns(), st=status, b=body)
            if replayed:
                answer["r"] = 1
            if cursor is not None:
                answer["cur"] = cursor
        except Lost as lost:
            answer.update(t=time.monotonic_ns(), lost=str(lost))
        self.writer.write(answer)
        return self.remember(operation, answer)

    def remember(self, operation, answer):
        """What is open afterwards; the class of the answer as a whole."""
        self.sent[operation["op"]] += 1
        status, body = answer.get("st"), history.parse_body(answer)
        code = history.problem_code(body)
        kind = history.classify(status, code, "r" in answer)
        if answer.get("lost") == "unsent":
            kind = NOT_DONE
        if operation["op"] == "money":
            self.close_or_open(operation["key"], kind, operation)
            if kind in (POSTED, REPLAYED):
                self.shapes.recent_transactions.appendleft((operation["u"], body["transaction"]))
        elif operation["op"] == "batch":
            kind = self.remember_batch(operation, answer, body, kind)
        elif kind == POSTED:
            kind = "read"
        elif kind in (UNKNOWN, NOT_DONE):
            kind = "not read"
        self.outcomes[f"lost: {answer['lost']}" if "lost" in answer else kind] += 1
        return kind

    def remember_batch(self, operation, answer, body, kind):
        results = body.get("results") if isinstance(body, dict) else None
        kinds = [kind] * len(operation["items"])
        if results and len(results) == len(kinds):
            kinds = [history.classify(result["status"], history.problem_code(result), False)
                     for result in results]
        if operation["atomic"]:
            name = tuple(item[0] for item in operation["items"])
            self.close_or_open(name, max(kinds, key=_doubt), operation)
        else:
            for (key, *request), one in zip(operation["items"], kinds):
                self.close_or_open(key, one, {
                    "op": "money", "u": operation["u"], "key": key, "q": request, "form": "header"})
        return "batch" if status_is_told(answer) else kind

    def close_or_open(self, name, kind, operation):
        if kind in (POSTED, REPLAYED, USED):
            self.open.pop(name, None)
        elif kind in (UNKNOWN, NOT_DONE):
            self.open.setdefault(name, operation)
        elif self.final:
            self.open.pop(name, None)

    # ---- clients ----

    async def fund(self):
        """The opening balances, as operations like any other."""
        connections = [Connection(port) for port in self.ports]
        for number, (user, _, _, opening) in enumerate(shapes.ACCOUNTS):
            operation = self.shapes.single(user, self.shapes.new_key(),
                                           Request("deposit", number, None, opening), "header")
            while await self.send(operation, connections, 0) not in (POSTED, REPLAYED):
                await asyncio.sleep(0.1)
        for connection in connections:
            connection.close()

    async def client(self, number):
        draw = random.Random(self.seed * 1000 + number)
        connections = [Connection(port) for port in self.ports]
        spare = [Connection(port) for port in self.ports]
        await asyncio.sleep(draw.random() * self.pause_s)
        while not self.stopping:
            began = time.monotonic()
            service = draw.randrange(len(self.ports))
            kind, operation = self.shapes.draw()
            if kind == "twin":
                told, other = await asyncio.gather(
                    self.send(operation, connections, service),
                    self.send(operation, spare, (service + 1) % len(self.ports)))
            else:
                told = await self.send(operation, connections, service)
            for _ in range(3):
                if told not in (UNKNOWN, NOT_DONE) or self.stopping or draw.random() < 0.3:
                    break
                await asyncio.sleep(draw.uniform(0.02, 0.2))
                again = {**operation, "form": "header"} if operation["op"] == "money" else operation
                told = await self.send(again, connections, draw.randrange(len(self.ports)), again=1)
            if told in ("not read", UNKNOWN, NOT_DONE):
                await asyncio.sleep(draw.uniform(0.05, 0.5))  # as a polite client would
            if self.pause_s:
                pause = draw.expovariate(1 / self.pause_s) - (time.monotonic() - began)
                await asyncio.sleep(max(0.0, pause))
        for connection in connections + spare:
            connection.close()

    async def run(self):
        await self.fund()
        say(ready=True)
        await asyncio.gather(*(self.client(number) for number in range(self.clients)))

    async def resolve(self, limit_s):
        """Asks for the outcome of every open operation until each is known."""
        self.final = True
        self.writer.write({"e": "mark", "t": time.monotonic_ns(), "what": "final"})
        asked, end = len(self.open), time.monotonic() + limit_s
        names = list(self.open)

        async def ask(part):
            connections = [Connection(port) for port in self.ports]
            for number, name in enumerate(part):
                while name in self.open and time.monotonic() < end:
                    operation = self.open[name]
                    if operation["op"] == "money":
                        operation = {**operation, "form": "header"}
                    await self.send(operation, connections, number % len(self.ports), again=1)
                    if name in self.open:
                        await asyncio.sleep(0.1)
            for connection in connections:
                connection.close()

        await asyncio.gather(*(ask(names[part::ASKERS]) for part in range(ASKERS)))
        return asked, len(self.open)


def _doubt(kind):
    """All or nothing: the least certain of its operations speaks for an atomic batch."""
    return (POSTED, REPLAYED, USED, REFUSED, FAILED, NOT_DONE, UNKNOWN).index(kind)


def status_is_told(answer):
    return answer.get("st") in (200, 409, 422)


def say(**what):
    print(json.dumps(what), flush=True)


def listen(load, loop, words):
    for line in sys.stdin:
        loop.call_soon_threadsafe(words.put_nowait, line.strip())
    loop.call_soon_threadsafe(words.put_nowait, "end")


async def main(path):
    with open(path, encoding="utf-8") as config:
        load = Load(json.load(config))
    words = asyncio.Queue()
    loop = asyncio.get_running_loop()
    threading.Thread(target=listen, args=(load, loop, words), daemon=True).start()
    running = asyncio.create_task(load.run())
    began = time.monotonic()
    while True:
        try:
            word = await asyncio.wait_for(words.get(), 1.0)
        except asyncio.TimeoutError:
            if running.done() and running.exception():
                running.result()
            if not load.stopping:
                say(sent=load.count, open=len(load.open), seconds=time.monotonic() - began)
            continue
        if word == "stop":
            load.stopping = True
            await running
            say(stopped=True, sent=load.count, open=len(load.open), operations=load.sent,
                outcomes=load.outcomes)
        elif word == "resolve":
            asked, left = await load.resolve(load.resolve_s)
            say(resolved=asked - left, left=left)
        else:
            load.writer.close()
            return


if __name__ == "__main__":
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # of lost connections
    asyncio.run(main(sys.argv[1]))
