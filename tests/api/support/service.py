"""One running service: start, look at its log, stop it, and hold it to how it must end."""

import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from support.ports import free_port
from support.settings import binary, scaled
from support.waiting import wait_until

SANITIZER_REPORT = re.compile(
    r"^.*(AddressSanitizer|LeakSanitizer|ThreadSanitizer|UndefinedBehaviorSanitizer"
    r"|runtime error:|SUMMARY: .*Sanitizer|Assertion .* failed).*$", re.MULTILINE)

STOP_WITHIN_S = 10.0  # the promise of SIGTERM


def base_environment():
    """Nothing of the caller's but what a process needs, so that no setting leaks in."""
    kept = ("PATH", "HOME", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
    environment.setdefault("TSAN_OPTIONS", "second_deadlock_stack=1")
    return environment


def run_to_end(name, environment, *arguments, cwd=None, seconds=20):
    """Runs a service that is expected to end by itself."""
    with tempfile.TemporaryDirectory(prefix="pacioli-cwd-") as folder:
        return subprocess.run(
            [binary(name), *arguments], env={**base_environment(), **environment},
            cwd=cwd or folder, capture_output=True, text=True, timeout=scaled(seconds))


class Service:
    running = set()  # of this process, for whoever cleans up after a test that failed

    def __init__(self, name, environment, folder, port=None, wrapper=()):
        self.name = name
        self.port = port or free_port()
        self.environment = {**environment, "UVICORN_PORT": str(self.port)}
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.wrapper = list(wrapper)
        self.process = None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def log_path(self):
        return self.folder / f"{self.name}.{self.port}.log"

    # ---- life ----

    def start(self, wait=True):
        assert self.process is None, f"{self.name} runs already"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, binary(self.name)],
                env={**base_environment(), **self.environment}, cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        Service.running.add(self.process)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds=30):
        wait_until(self.is_ready, f"{self.name} answers /readyz with 200", seconds)

    def is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode} instead of "
                                 f"becoming ready:\n{self.log_tail()}")
        return self.probe("/readyz") == 200

    def probe(self, path, timeout=2.0):
        """Status of a GET without any library, or None when there is no answer."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n"
                                   "Connection: close\r\n\r\n".encode())
                head = b""
                while b"\r\n" not in head:
                    chunk = connection.recv(4096)
                    if not chunk:
                        return None
                    head += chunk
                return int(head.split(b" ", 2)[1])
        except (OSError, ValueError, IndexError):
            return None

    def stop(self):
        """SIGTERM; it must exit 0 in time, and its log must be clean."""
        if self.process is None:
            return 0.0
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=scaled(STOP_WITHIN_S))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.process = None
            raise AssertionError(f"expected {self.name} to exit within {STOP_WITHIN_S} s of "
                                 f"SIGTERM:\n{self.log_tail()}") from None
        status, self.process = self.process.returncode, None
        took = time.monotonic() - began
        self.check_log()
        assert status == 0, (f"expected {self.name} to exit with 0 after SIGTERM, it did with "
                             f"{status}:\n{self.log_tail()}")
        return took

    def kill(self):
        """kill -9."""
        self.process.kill()
        self.process.wait()
        self.process = None
        self.check_log()

    # ---- what it says and uses ----

    def check_log(self):
        text = self.log_text()
        report = SANITIZER_REPORT.search(text)
        assert not report, (f"expected no sanitizer report and no failed assertion in the log of "
                            f"{self.name}:\n{text[report.start():report.start() + 4000]}")

    def log_text(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=20):
        return "\n".join(self.log_text().splitlines()[-lines:])

    def log_lines(self):
        """Every whole line as an object; a line that is no JSON object fails."""
        lines = []
        whole = self.log_text().rpartition("\n")[0]
        for number, line in enumerate(whole.split("\n") if whole else [], 1):
            try:
                value = json.loads(line)
            except ValueError:
                raise AssertionError(f"expected JSON in line {number} of {self.log_path}: "
                                     f"{line!r}") from None
            assert isinstance(value, dict), f"expected an object in line {number}: {line!r}"
            lines.append(value)
        return lines

    def wait_log(self, predicate, what, seconds=10):
        return wait_until(lambda: [line for line in self.log_lines() if predicate(line)],
                          f"a line in the log of {self.name}: {what}", seconds)

    def memory_mib(self):
        """Resident memory."""
        return self._memory_mib("VmRSS")

    def reset_memory_peak(self):
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def memory_peak_mib(self):
        """The most resident memory since the last reset."""
        return self._memory_mib("VmHWM")

    def _memory_mib(self, name):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB", status, re.MULTILINE).group(1)) / 1024

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))
