"""README.md: its scenario (ops/scenario.sh, ops/lib/check-readme) works as it stands; its tables name
every setting."""

import re
import subprocess

import pytest

from support.service import run_to_end
from support.settings import REPO

README = (REPO / "README.md").read_text()
SCENARIO = REPO / "ops" / "scenario.sh"


def test_the_scenario_works_as_pasted(auth_service, wallet_service):
    run = subprocess.run(
        ["bash", str(SCENARIO)], capture_output=True, text=True, timeout=60,
        env={"PATH": "/usr/bin:/bin", "AUTH_PORT": str(auth_service.port),
             "WALLET_PORT": str(wallet_service.port)})
    assert run.returncode == 0, run.stderr
    assert '"new_balance":"100.00"' in run.stdout
    assert '"new_balance":"60.00"' in run.stdout
    assert '"TRANSFER_OUT"' in run.stdout
    assert '"Transaction already processed"' in run.stdout
    assert '"same_request": true' in run.stdout
    assert run.stdout.count('"username": "alice-') == 1, "expected to see who logged in"
    assert '"current": true' in run.stdout
    assert "logout: 204\n" in run.stdout
    assert '"The session has ended."\n' in run.stdout
    assert '"The refresh token is not valid."\n' in run.stdout
    assert "null" not in run.stdout


@pytest.mark.parametrize("program", ["auth_api", "wallet_api"])
def test_the_tables_name_every_setting(program):
    text = run_to_end(program, {}, "--help").stdout
    names = set(re.findall(r"^  ([A-Z][A-Z_, ]+?)  ", text, re.MULTILINE))
    variables = {name.strip() for group in names for name in group.split(",")}
    assert "POSTGRES_HOST" in variables
    missing = sorted(name for name in variables if f"`{name}`" not in README)
    assert not missing, f"README.md does not name {missing}"
