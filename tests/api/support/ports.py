"""Free TCP ports on the loopback address."""

import random
import socket

# Below the range the kernel takes from for outgoing connections, of which the tests make thousands.
_FIRST, _LAST = 18000, 31999
_given = set()


def free_port():
    for _ in range(1000):
        port = random.randint(_FIRST, _LAST)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError("no free port between %d and %d" % (_FIRST, _LAST))


def is_listening(port):
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
