"""/readyz: what it looks at, and that its answers do not go back and forth."""

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


def test_ready_once_is_ready(databases, secret, folder):
    """Whichever thread answers: none may know less than the one that said 200 before it."""
    service = Service("wallet_api", {**databases.copy("wallet").environment(),
                                     "JWT_SECRET": secret, "THREADS": "4"}, folder)
    for _ in range(3):
        service.start()
        try:
            answers = [service.probe("/readyz") for _ in range(100)]
        finally:
            service.stop()
        assert set(answers) == {200}, f"expected 200 each time, got {answers}"
