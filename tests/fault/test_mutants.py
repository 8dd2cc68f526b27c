"""The planted defects still fit the sources; ops/faults --mutants builds and catches them."""

import subprocess

import pytest

from rig.mutants import MUTANTS, PATCHES, what
from rig.world import GUARDS
from support.settings import REPO


def test_every_patch_is_a_mutant_and_every_mutant_has_a_patch():
    assert {path.stem for path in PATCHES.glob("*.patch")} == set(MUTANTS)
    assert len(MUTANTS) >= 12
    assert all(guard in GUARDS for mutant in MUTANTS.values() for guard in mutant.guards)


@pytest.mark.parametrize("name", MUTANTS)
def test_the_patch_applies(name):
    run = subprocess.run(["git", "apply", "--check", PATCHES / f"{name}.patch"], cwd=REPO,
                         capture_output=True, text=True)
    assert run.returncode == 0, f"{name}.patch must be made anew:\n{run.stderr}"
    assert what(name).endswith("."), "expected a sentence that says what is wrong"
