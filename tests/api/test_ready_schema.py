"""/readyz tells when the schema is no longer one that the service works on, and when it is again."""

import pytest

from support.service import Service
from support.waiting import wait_until


@pytest.mark.parametrize("name, schema", [("auth_api", "auth"), ("wallet_api", "ledger")])
def test_not_ready_without_its_schema(name, schema, databases, secret, folder):
    database = databases.copy("auth" if name == "auth_api" else "wallet")
    service = Service(name, {**database.environment(), "JWT_SECRET": secret, "BCRYPT_COST": "4"},
                      folder).start()
    try:
        database.execute(f"ALTER TABLE {schema}.schema_version RENAME TO elsewhere")
        wait_until(lambda: service.probe("/readyz") == 503,
                   "503 from /readyz while the schema has no version")
        assert service.probe("/healthz") == 200
        database.execute(f"ALTER TABLE {schema}.elsewhere RENAME TO schema_version")
        wait_until(lambda: service.probe("/readyz") == 200, "200 from /readyz again")
    finally:
        service.stop()
