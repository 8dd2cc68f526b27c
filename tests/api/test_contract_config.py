"""contract.md, "Configuration": the variables, their defaults and rules, for both services."""

import re

import pytest

from support.ports import free_port, is_listening
from support.service import Service, run_to_end

SERVICES = ("auth_api", "wallet_api")
GOOD = {"POSTGRES_PASSWORD": "password-of-8", "JWT_SECRET": "s" * 32}
SECRETS = ("POSTGRES_PASSWORD", "JWT_SECRET")


def check(service, environment, cwd=None):
    return run_to_end(service, environment, "--check-config", cwd=cwd)


def values_of(run):
    """--check-config prints NAME and value, one pair per line."""
    assert run.returncode == 0, f"expected --check-config to pass: {run.stdout}{run.stderr}"
    pairs = re.findall(r"^([A-Z][A-Z0-9_]*)[ \t]*[=:]?[ \t]*(\S.*)?$", run.stdout, re.MULTILINE)
    return {name: value.strip() for name, value in pairs}


def assert_refused(service, environment, *words, cwd=None):
    """Stops before it listens, with one line that names the variable and the rule."""
    port = free_port()
    run = run_to_end(service, {"UVICORN_PORT": str(port), **environment}, cwd=cwd)
    assert run.returncode != 0, f"expected {service} not to start"
    assert run.returncode > 0, f"expected an exit status, got signal {-run.returncode}"
    assert not is_listening(port)
    lines = (run.stdout + run.stderr).strip().splitlines()
    assert len(lines) == 1, f"expected one line, got {lines}"
    for word in words:
        assert word in lines[0], f"expected {word!r} in {lines[0]!r}"
    return lines[0]


# ---- required variables ----

@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("variable", SECRETS)
def test_missing_required_variable_stops_the_service(service, variable):
    environment = {**GOOD}
    del environment[variable]
    assert_refused(service, environment, variable, "required")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("variable", SECRETS)
def test_empty_required_variable_stops_the_service(service, variable):
    assert_refused(service, {**GOOD, variable: ""}, variable)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("variable", "length"), [("POSTGRES_PASSWORD", 8), ("JWT_SECRET", 32)])
def test_short_secret_stops_the_service(service, variable, length):
    value = ("q7" * 32)[:length - 1]
    line = assert_refused(service, {**GOOD, variable: value}, variable, str(length))
    assert value not in line, "expected the line not to hold the value"


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("variable", "length"), [("POSTGRES_PASSWORD", 8), ("JWT_SECRET", 32)])
def test_shortest_secret_is_accepted(service, variable, length):
    values_of(check(service, {**GOOD, variable: "x" * length}))


@pytest.mark.parametrize("service", SERVICES)
def test_check_config_refuses_like_the_service(service):
    run = check(service, {"POSTGRES_PASSWORD": GOOD["POSTGRES_PASSWORD"]})
    assert run.returncode != 0
    assert "JWT_SECRET" in run.stdout + run.stderr


# ---- secrets ----

@pytest.mark.parametrize("service", SERVICES)
def test_check_config_prints_no_secret(service):
    environment = {"POSTGRES_PASSWORD": "canary-password", "JWT_SECRET": "canary-" + "j" * 40}
    run = check(service, environment)
    assert run.returncode == 0
    for name, value in environment.items():
        assert name in run.stdout, f"expected {name} to be listed"
        assert value not in run.stdout + run.stderr, f"expected the value of {name} not to be shown"


@pytest.mark.parametrize("service", SERVICES)
def test_help_prints_no_secret_and_names_every_variable(service):
    run = run_to_end(service, GOOD, "--help")
    assert run.returncode == 0
    for name in ("POSTGRES_USER", "POSTGRES_HOST", "POSTGRES_PORT", "POSTGRES_DB",
                 "POSTGRES_PASSWORD", "JWT_SECRET", "JWT_ALGORITHM", "UVICORN_PORT"):
        assert name in run.stdout, f"expected {name} in --help"
    for value in GOOD.values():
        assert value not in run.stdout


# ---- defaults ----

@pytest.mark.parametrize(("service", "database", "port"),
                         [("auth_api", "auth_db", "8001"), ("wallet_api", "wallet_db", "8002")])
def test_defaults_of_the_contract(service, database, port):
    values = values_of(check(service, GOOD))
    expected = {"POSTGRES_USER": database, "POSTGRES_HOST": "localhost", "POSTGRES_PORT": "5432",
                "POSTGRES_DB": database, "JWT_ALGORITHM": "HS256", "UVICORN_PORT": port}
    assert {name: values.get(name) for name in expected} == expected


def test_default_of_access_token_expire_minutes():
    assert values_of(check("auth_api", GOOD))["ACCESS_TOKEN_EXPIRE_MINUTES"] == "60"


def test_default_bcrypt_cost_is_12():
    assert values_of(check("auth_api", GOOD))["BCRYPT_COST"] == "12"


def test_default_currency_is_rub():
    assert values_of(check("wallet_api", GOOD))["DEFAULT_CURRENCY"] == "RUB"


# ---- values that break a rule ----

@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("value", ["none", "None", "RS256", "HS512", "hs256", ""])
def test_jwt_algorithm_other_than_hs256_is_refused(service, value):
    assert_refused(service, {**GOOD, "JWT_ALGORITHM": value}, "JWT_ALGORITHM", "HS256")


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("value", ["0", "65536", "-1", "80a", "1e3", " 80"])
def test_port_that_is_none_is_refused(service, value):
    assert_refused(service, {**GOOD, "UVICORN_PORT": value}, "UVICORN_PORT")


@pytest.mark.parametrize("value", ["0", "-5", "an hour", "1.5"])
def test_access_token_expire_minutes_that_is_no_duration_is_refused(value):
    assert_refused("auth_api", {**GOOD, "ACCESS_TOKEN_EXPIRE_MINUTES": value},
                   "ACCESS_TOKEN_EXPIRE_MINUTES")


@pytest.mark.parametrize("service", SERVICES)
def test_unknown_option_is_one_line_and_no_start(service):
    run = run_to_end(service, GOOD, "--no-such-option")
    assert run.returncode not in (0, None) and run.returncode > 0


# ---- where values come from ----

@pytest.mark.parametrize("service", SERVICES)
def test_env_file_in_the_working_directory_is_read(service, tmp_path):
    lines = [f"{name}={value}" for name, value in GOOD.items()]
    (tmp_path / ".env").write_text("\n".join([*lines, "# comment", "", 'POSTGRES_HOST="db.test"']))
    assert values_of(check(service, {}, cwd=tmp_path))["POSTGRES_HOST"] == "db.test"


@pytest.mark.parametrize("service", SERVICES)
def test_the_environment_wins_over_the_env_file(service, tmp_path):
    (tmp_path / ".env").write_text("POSTGRES_DB=from_file\nPOSTGRES_HOST=file.test\n")
    values = values_of(check(service, {**GOOD, "POSTGRES_DB": "from_environment"}, cwd=tmp_path))
    assert values["POSTGRES_DB"] == "from_environment"
    assert values["POSTGRES_HOST"] == "file.test"


@pytest.mark.parametrize("service", SERVICES)
def test_short_secret_in_the_env_file_is_refused_without_showing_it(service, tmp_path):
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=long-enough\nJWT_SECRET=short-canary\n")
    line = assert_refused(service, {}, "JWT_SECRET", "32", cwd=tmp_path)
    assert "short-canary" not in line


@pytest.mark.parametrize("service", SERVICES)
def test_broken_line_of_the_env_file_is_refused_without_showing_it(service, tmp_path):
    (tmp_path / ".env").write_text("POSTGRES_PASSWORD=long-enough\nJWT_SECRET canary-value\n")
    line = assert_refused(service, {**GOOD}, ".env", "2", cwd=tmp_path)
    assert "canary-value" not in line


@pytest.mark.parametrize("service", SERVICES)
def test_port_is_an_alias_of_uvicorn_port(service):
    assert values_of(check(service, {**GOOD, "PORT": "9123"}))["UVICORN_PORT"] == "9123"
    both = values_of(check(service, {**GOOD, "PORT": "9123", "UVICORN_PORT": "9124"}))
    assert both["UVICORN_PORT"] == "9124", "expected the historic name to win"


# ---- and once for real ----

def test_services_run_from_an_env_file_alone(wallet_settings, tmp_path):
    service = Service("wallet_api", {}, tmp_path)
    (tmp_path / ".env").write_text("".join(f"{name}={value}\n"
                                           for name, value in wallet_settings.items()))
    service.start()
    try:
        assert service.probe("/healthz") == 200
    finally:
        service.stop()
