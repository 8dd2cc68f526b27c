"""A TCP proxy between the services and PostgreSQL that does what networks do, and worse.

A process of its own. Each door is a port that leads to PostgreSQL; a service connects to its own
door, so that a fault can be one service's alone. The control port takes one JSON object per line
and answers each with one:

    {"do": "set", "door": 0, "delay_ms": 200}            every chunk waits, both ways
    {"do": "set", "door": 0, "hold": true}               nothing passes, nothing is lost
    {"do": "cut", "door": 0, "way": "up", "bytes": 900, "reset": true}
                                                         the next connection that has passed that
                                                         many further bytes is cut in mid-message
    {"do": "commit", "door": 0, "mode": "reply", "hold_s": 0.5, "reset": false}
                                                         the next COMMIT of any connection:
        reply    PostgreSQL commits; its CommandComplete is swallowed, then the connection is cut
        request  the service's COMMIT is swallowed and its connection cut; PostgreSQL is left alone
                 with the open transaction and its locks for hold_s, then cut off too
        late     the service's connection is cut, and its COMMIT is delivered hold_s later
        stale    as late, but of a pipeline that has its own BEGIN all of it, from there on:
                 PostgreSQL knows nothing of it until then; with "kill": PID that process, whose
                 connection it is, is killed rather than told of the loss; with "statement": NAME
                 of that prepared statement instead, which is a transaction of its own
    {"do": "deliver", "door": 0}                         what is late (or stale) is delivered now
    {"do": "calm", "door": 0}                            takes back whatever has not happened yet
    {"do": "fired"}                                      {"reply": 3, "request": 1, "cut": 2}

    /usr/bin/python3 -m rig.proxy CONTROL_PORT POSTGRES_PORT DOOR_PORT ...
"""

import asyncio
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections import Counter, deque

COMMIT_REPLY = b"C\x00\x00\x00\x0bCOMMIT\x00"  # CommandComplete
COMMIT_REQUEST = b"\x00commit\x00"  # in Bind: no portal, the prepared statement of that name
BEGIN_REQUEST = b"\x00begin\x00"
GATHER_S = 0.02  # what belongs to a COMMIT (Execute, Sync) arrives within that


class Door:
    """One port, and the faults that are set on it."""

    def __init__(self, number):
        self.number = number
        self.links = set()
        self.late_links = []
        self.delay_s = 0.0
        self.hold = False
        self.calm()

    def calm(self):
        self.cut = None  # {"way", "bytes", "reset"}
        self.commit = None  # {"mode", "hold_s", "reset"}


class Way:
    """One direction of a link: what was read on one side and is to be written on the other."""

    def __init__(self, link, name):
        self.link, self.name = link, name
        self.target = None  # transport
        self.queue = deque()  # (due, bytes), in order
        self.timer = None
        self.passed = 0  # bytes since the current cut was set
        self.kept = b""  # may be the beginning of COMMIT_REPLY

    def take(self, data):
        link = self.link
        data = self.kept + data
        self.kept = b""
        commit = link.door.commit
        if commit is not None and not link.detached:
            data = self.look_for_commit(data, commit)
        if link.detached:
            return
        cut = link.door.cut
        if cut is not None and cut["way"] == self.name:
            if link.cut is not cut:
                link.cut, self.passed = cut, 0
            if self.passed + len(data) >= cut["bytes"]:
                data = data[:cut["bytes"] - self.passed]
                self.put(data)
                link.door.cut = None
                fired["cut"] += 1
                link.end(cut["reset"])
                return
            self.passed += len(data)
        self.put(data)

    def look_for_commit(self, data, commit):
        """Carries out what was set on the next COMMIT; returns what passes all the same."""
        link = self.link
        if self.name == "down" and commit["mode"] == "reply":
            at = data.find(COMMIT_REPLY)
            if at >= 0:
                self.put(data[:at])
                link.lose_reply(commit)
                return b""
            for length in range(len(COMMIT_REPLY) - 1, 0, -1):
                if data.endswith(COMMIT_REPLY[:length]):
                    self.kept = data[-length:]
                    return data[:-length]
        elif self.name == "up" and commit["mode"] != "reply":
            statement = commit.get("statement")
            at = data.find(COMMIT_REQUEST if statement is None else b"\0%b\0" % statement.encode())
            if commit["mode"] == "stale" and statement is None and at >= 0:
                at = data.rfind(BEGIN_REQUEST, 0, at)
            if at >= 0:
                self.put(data[:at])
                link.lose_request(commit, data[at:])
                return b""
        return data

    def put(self, data):
        if not data:
            return
        door = self.link.door
        if self.target and not self.queue and not door.hold and door.delay_s == 0:
            self.target.write(data)
            return
        self.queue.append((loop.time() + door.delay_s, data))
        self.pump()

    def pump(self):
        """Writes what is due."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        while self.queue and not self.link.door.hold and self.target is not None:
            due, data = self.queue[0]
            if due > loop.time():
                self.timer = loop.call_at(due, self.pump)
                return
            self.queue.popleft()
            self.target.write(data)


class Link:
    """One connection of a service, and the one to PostgreSQL that was opened for it."""

    def __init__(self, door):
        self.door = door
        self.up, self.down = Way(self, "up"), Way(self, "down")
        self.client = self.server = None
        self.cut = None
        self.detached = False  # a fault has it in hand: nothing passes any more
        self.late = None  # bytes that are delivered later
        door.links.add(self)

    def lose_reply(self, commit):
        self.door.commit = None
        self.detached = True
        fired["reply"] += 1
        loop.call_later(commit["hold_s"], self.end, commit["reset"])

    def lose_request(self, commit, rest):
        self.door.commit = None
        self.detached = True
        self.late = rest
        loop.call_later(GATHER_S, self.leave_server_alone, commit)

    def leave_server_alone(self, commit):
        fired[commit["mode"]] += 1
        if commit.get("kill"):
            os.kill(commit["kill"], signal.SIGKILL)
        drop(self.client, commit["reset"])
        if commit["mode"] in ("late", "stale"):
            self.door.late_links.append(self)
            loop.call_later(commit["hold_s"], self.deliver_late)
        else:
            loop.call_later(commit["hold_s"], self.end, False)

    def deliver_late(self):
        if self not in self.door.late_links:
            return
        self.door.late_links.remove(self)
        if self.server is not None and not self.server.is_closing():
            self.server.write(self.late)
        loop.call_later(0.5, self.end, False)

    def lost(self, side):
        """One side is gone; so is the other, after what was still under way."""
        if self.detached:
            return
        way, other = (self.up, self.server) if side == "client" else (self.down, self.client)
        if other is not None:
            way.pump()
            if way.queue:
                loop.call_later(0.05, self.lost, side)
                return
            other.close()
        self.door.links.discard(self)

    def end(self, reset=False):
        self.detached = True
        self.door.links.discard(self)
        drop(self.client, reset)
        drop(self.server, False)


def drop(transport, reset):
    if transport is None:
        return
    if reset:
        connection = transport.get_extra_info("socket")
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # closed already
        transport.abort()
    else:
        transport.close()


class ServerSide(asyncio.Protocol):
    def __init__(self, link):
        self.link = link

    def connection_made(self, transport):
        self.link.server = self.link.up.target = transport
        self.link.up.pump()

    def data_received(self, data):
        self.link.down.take(data)

    def connection_lost(self, _error):
        self.link.lost("server")


class ClientSide(asyncio.Protocol):
    def __init__(self, door):
        self.link = Link(door)

    def connection_made(self, transport):
        self.link.client = self.link.down.target = transport
        loop.create_task(self.connect())

    async def connect(self):
        try:
            while self.link.door.hold:
                await asyncio.sleep(0.05)
            await loop.create_connection(lambda: ServerSide(self.link), "127.0.0.1", postgres_port)
        except OSError:
            self.link.end(True)
            return
        if self.link.client.is_closing():
            self.link.end()

    def data_received(self, data):
        if self.link.late is not None:
            self.link.late += data
        else:
            self.link.up.take(data)

    def connection_lost(self, _error):
        self.link.lost("client")


# ---- control ----

loop = None
postgres_port = 0
doors = []
fired = Counter()


def obey(order):
    if order["do"] == "fired":
        return dict(fired)
    door = doors[order["door"]]
    if order["do"] == "set":
        door.delay_s = order.get("delay_ms", 0) / 1000
        door.hold = order.get("hold", False)
        for link in list(door.links):
            link.up.pump()
            link.down.pump()
    elif order["do"] == "cut":
        door.cut = order
    elif order["do"] == "commit":
        door.commit = order
    elif order["do"] == "deliver":
        for link in list(door.late_links):
            link.deliver_late()
    elif order["do"] == "calm":
        door.calm()
    return {}


async def control(reader, writer):
    while line := await reader.readline():
        writer.write(json.dumps(obey(json.loads(line))).encode() + b"\n")
        await writer.drain()
    os._exit(0)  # the rig is gone, so is the need for a proxy


async def serve(control_port, door_ports):
    global loop
    loop = asyncio.get_running_loop()
    for number, port in enumerate(door_ports):
        door = Door(number)
        doors.append(door)
        await loop.create_server(lambda door=door: ClientSide(door), "127.0.0.1", port)
    server = await asyncio.start_server(control, "127.0.0.1", control_port)
    print("ready", flush=True)
    await server.serve_forever()


# ---- the rig's side ----


class Proxy:
    """Starts the process, and talks to its control port."""

    def __init__(self, postgres_port, door_count, free_port):
        self.door_ports = [free_port() for _ in range(door_count)]
        control_port = free_port()
        ports = [control_port, postgres_port, *self.door_ports]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "rig.proxy", *map(str, ports)], cwd=_folder(),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        if self.process.stdout.readline() != b"ready\n":
            raise RuntimeError("the proxy did not start")
        self.connection = socket.create_connection(("127.0.0.1", control_port), 10)
        self.answers = self.connection.makefile("rb")

    def tell(self, do, **more):
        self.connection.sendall(json.dumps({"do": do, **more}).encode() + b"\n")
        return json.loads(self.answers.readline())

    def fired(self):
        return Counter(self.tell("fired"))

    def stop(self):
        self.connection.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def _folder():
    from rig import FOLDER
    return FOLDER


if __name__ == "__main__":
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # of lost connections
    postgres_port = int(sys.argv[2])
    try:
        asyncio.run(serve(int(sys.argv[1]), [int(port) for port in sys.argv[3:]]))
    except KeyboardInterrupt:
        pass
