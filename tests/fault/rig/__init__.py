"""The fault rig: load, faults, and the checker; one module per subject, see ../README.md."""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1]
API_TESTS = FOLDER.parent / "api"
# Clusters, databases, services and tokens are made as the tests of the running services make them.
if str(API_TESTS) not in sys.path:
    sys.path.insert(0, str(API_TESTS))
