"""How long logins take, and whom they keep waiting: measured, so alone on the machine."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from support.api import Auth, assert_ok, new_name
from support.service import Service
from support.settings import scaled

PASSWORD = "correct horse"


def test_unknown_user_and_wrong_password_take_the_same_time(auth_settings, folder):
    """With a cost at which bcrypt is what takes time."""
    service = Service("auth_api", {**auth_settings, "BCRYPT_COST": "9"}, folder).start()
    try:
        auth = Auth(service)
        name = new_name()
        assert_ok(auth.register(name, PASSWORD))
        times = {name: [], "unknown": []}
        for turn in range(14):
            for who in times:
                began = time.perf_counter()
                username = who if who == name else new_name("unknown")
                assert auth.login(username, "not the password").status_code == 401
                if turn >= 2:
                    times[who].append(time.perf_counter() - began)
        known, unknown = (statistics.median(values) for values in times.values())
        assert 0.7 < known / unknown < 1.4, (
            f"expected equal times, medians are {known * 1000:.1f} ms for a wrong password and "
            f"{unknown * 1000:.1f} ms for an unknown user")
        assert min(times["unknown"]) > 0.005, "expected an unknown user to cost a bcrypt, too"
    finally:
        service.stop()


def test_login_does_not_hold_up_other_requests(auth_settings, folder):
    """bcrypt runs on threads of its own: /healthz is quick while all of them are at work."""
    service = Service("auth_api", {**auth_settings, "BCRYPT_COST": "11"}, folder).start()
    try:
        auth = Auth(service)
        with ThreadPoolExecutor(8) as pool:
            logins = [pool.submit(auth.login, new_name(), PASSWORD) for _ in range(8)]
            slowest = 0.0
            while not all(login.done() for login in logins):
                began = time.perf_counter()
                assert service.probe("/healthz") == 200
                slowest = max(slowest, time.perf_counter() - began)
        assert slowest < scaled(0.1), f"expected /healthz within 100 ms, it took {slowest:.3f} s"
        for login in logins:
            assert login.result().status_code in (401, 503)
    finally:
        service.stop()
