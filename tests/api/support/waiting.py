"""Polling instead of sleeping."""

import time

from support.settings import scaled


def wait_until(condition, what, seconds=10.0, pause=0.02):
    """Returns the first true value of condition(); fails with `what` when there is none in time."""
    limit = scaled(seconds)
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            raise AssertionError(f"within {limit:.0f} s expected: {what}")
        time.sleep(pause)
