"""SCHEMA_VERSION_MAX: a rollback starts the program before on the schema of the release after it."""

import pytest

from support.service import Service


@pytest.mark.parametrize("name, schema", [("auth_api", "auth"), ("wallet_api", "ledger")])
def test_newer_schema_is_served_when_the_operator_says_so(name, schema, databases, secret, folder):
    database = databases.copy(name.removesuffix("_api"))
    database.execute(f"INSERT INTO {schema}.schema_version (version) VALUES (9999)")
    service = Service(name, {**database.environment(), "JWT_SECRET": secret, "BCRYPT_COST": "4",
                             "SCHEMA_VERSION_MAX": "9999"}, folder).start()
    try:
        assert service.probe("/readyz") == 200
    finally:
        service.stop()
