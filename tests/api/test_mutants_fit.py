"""What mutants.py would break is still there, once; it builds and tries each."""

import pytest

from mutants import MUTANTS
from support.settings import REPO


@pytest.mark.parametrize("mutant", MUTANTS, ids=[one.name for one in MUTANTS])
def test_the_change_fits(mutant):
    for path, old, _ in mutant.changes:
        assert (REPO / path).read_text().count(old) == 1, f"{path} has changed: {mutant.name} must be made anew"
    assert (REPO / "tests" / "api" / mutant.tests[0]).exists()
