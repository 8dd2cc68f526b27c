"""Where things are, and how patient the tests are."""

import os
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
BUILD = Path(os.environ.get("TEST_BUILD_DIR") or REPO / "build" / "release").resolve()
BINARIES = BUILD / "bin"

# Builds with sanitizers, and busy machines, need more time for the same thing.
SLOW = os.environ.get("TEST_SLOW", "0") not in ("", "0")
FACTOR = 6.0 if SLOW else 1.0


def scaled(seconds):
    """A time limit for this build. Only limits are scaled, never what is measured."""
    return seconds * FACTOR


def binary(name):
    path = BINARIES / name
    assert path.is_file(), f"{path} is missing: build it first (cmake --build --preset release)"
    return str(path)
