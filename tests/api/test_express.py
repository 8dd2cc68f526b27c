"""The express way of the poster (ledger_core/journal/batch.c): what it remembers never decides
against the database."""

import json
import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import prometheus
from support.api import User, new_key
from support.service import Service
from support.settings import REPO
from support.waiting import wait_until


@pytest.fixture(scope="module")
def services(wallet_settings, folder):
    """Two processes with one poster each on the same database."""
    services = [Service("wallet_api", {**wallet_settings, "THREADS": "1"}, folder).start()
                for _ in range(2)]
    yield services
    for service in services:
        service.stop()


@pytest.fixture
def here(services, secret):
    user = User(services[0], secret)
    yield user
    user.http.close()


@pytest.fixture
def there(services, secret, here):
    """The same person at the other process."""
    user = User(services[1], secret, user_id=here.id)
    yield user
    user.http.close()


def counter(user, name):
    families = prometheus.parse(user.http.get("/metrics").text)
    return sum(sample.value for sample in families[name][1])


def express(user):
    return counter(user, "wallet_posting_express_total")


def lost(user):
    return counter(user, "wallet_posting_express_lost_total")


def ready(user, account):
    """From here on this account goes by express: whatever was lost before, the rest is over after
    64 batches (poster.c)."""
    for _ in range(66):
        assert user.deposit(account, "1").status_code == 200


def test_known_accounts_go_by_express(here):
    account = here.account(funds="10")
    ready(here, account)
    wait_until(lambda: express(here) > 0, "a batch goes by express")
    before = express(here)
    for _ in range(10):
        assert here.withdraw(account, "1").status_code == 200
    wait_until(lambda: express(here) >= before + 10, "the batches are counted")


def test_a_used_key_is_told_before_anything_else(here):
    """The repeated request would now be refused for its amount, too."""
    account = here.account(funds="10")
    ready(here, account)
    key, all_of_it = new_key(), here.balance(account)
    assert here.withdraw(account, all_of_it, key).status_code == 200
    again = here.withdraw(account, all_of_it, key)
    assert (again.status_code, again.json()["same_request"]) == (409, True)
    assert here.balance(account) == "0.00"


def test_a_used_key_that_could_be_posted_again_is_not(here):
    account = here.account(funds="10")
    ready(here, account)
    key, before = new_key(), lost(here)
    first = here.withdraw(account, "1", key)
    assert first.status_code == 200
    assert here.withdraw(account, "1", key).status_code == 409
    assert here.balance(account) == first.json()["new_balance"]
    wait_until(lambda: lost(here) == before + 1, "the attempt is counted")


def test_another_process_moves_the_same_account(here, there):
    account = here.account(funds="10")
    ready(here, account)
    ready(there, account)
    balance = float(here.balance(account))
    for step in range(20):
        answer = (here, there)[step % 2].withdraw(account, "0.25")
        balance -= 0.25
        assert (answer.status_code, float(answer.json()["new_balance"])) == (200, balance)


def test_what_is_gone_elsewhere_is_not_spent_here(here, there):
    account = here.account(funds="10")
    ready(here, account)
    assert there.withdraw(account, there.balance(account)).status_code == 200
    answer = here.withdraw(account, "0.01")
    assert (answer.status_code, answer.json()["detail"]) == (400, "Insufficient funds")


def test_money_that_came_elsewhere_can_be_spent_here(here, there):
    account = here.account(funds="10")
    ready(here, account)
    assert there.deposit(account, "1000").status_code == 200
    assert here.withdraw(account, "500").status_code == 200


@pytest.mark.parametrize("change, status", [
    ("status = 'frozen'", 422), ("status = 'closed'", 422), ("floor = 1000000", 400)])
def test_a_changed_account_is_noticed_at_once(here, wallet_database, change, status):
    account = here.account(funds="10")
    ready(here, account)
    wallet_database.execute(f"UPDATE ledger.account SET {change} WHERE id = %s", (account,))
    try:
        answer = here.withdraw(account, "1")
        assert answer.status_code == status, answer.text
    finally:
        wallet_database.execute(
            "UPDATE ledger.account SET status = 'open', floor = 0 WHERE id = %s", (account,))
    assert here.withdraw(account, "1").status_code == 200


def test_what_is_held_elsewhere_is_noticed_at_once(here, wallet_database):
    account = here.account(funds="10")
    ready(here, account)
    wallet_database.execute(
        "UPDATE ledger.balance SET held = -posted WHERE account_id = %s", (account,))
    try:
        assert here.withdraw(account, "1").status_code == 400
    finally:
        wallet_database.execute(
            "UPDATE ledger.balance SET held = 0 WHERE account_id = %s", (account,))


def test_a_table_that_was_rewritten_is_no_obstacle(here, wallet_database):
    """Every snapshot lies elsewhere then."""
    account = here.account(funds="10")
    ready(here, account)
    with wallet_database.connect() as connection:
        connection.execute("VACUUM FULL ledger.balance")
    for _ in range(5):
        assert here.withdraw(account, "1").status_code == 200


def test_known_accounts_beside_an_unknown_one_and_no_lock(here, there, wallet_database):
    """More accounts than any batch had before, and the last is not known: the careful way, which is
    cancelled while it waits for a lock. What was recalled in vain is left alone (the sanitizers
    would tell)."""
    many = [here.account(funds="10") for _ in range(40)]
    ready(here, many[0])
    unknown = there.account(funds="10")
    operations = [{"type": "withdraw", "account_id": account, "amount": "1",
                   "idempotency_key": new_key()} for account in [*many, unknown]]
    with wallet_database.connect() as connection, ThreadPoolExecutor() as pool:
        connection.execute("BEGIN")
        connection.execute("SELECT FROM ledger.balance WHERE account_id = %s FOR UPDATE",
                           (unknown,))
        answer = pool.submit(here.http.post, "/wallet/batch", json={"operations": operations})
        wait_until(lambda: wallet_database.query(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            " AND usename = 'wallet_service' AND datname = current_database()"),
            "it waits for the lock")
        connection.execute("ROLLBACK")
        assert answer.result().json()["accepted"] == len(operations)


def test_a_new_connection_remembers_nothing(here, wallet_database):
    """A database that was set back may have the same revision for another change: here a status that
    nobody counted."""
    account = here.account(funds="10")
    ready(here, account)
    with wallet_database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE ledger.account SET status = 'frozen' WHERE id = %s", (account,))
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                           " WHERE usename = 'wallet_service' AND datname = current_database()")
    wait_until(lambda: here.http.get("/readyz").status_code == 200, "it is connected again")
    assert here.withdraw(account, "1").status_code == 422


# ---- plans ----

WALLETS = """
    WITH a AS (
        INSERT INTO ledger.account (ledger_id, id, owner_id, asset, class, code, floor)
        SELECT l.id, gen_random_uuid(), gen_random_uuid(), 'RUB', 'liability',
               'liabilities:wallets:' || n, 0
          FROM ledger.ledger l, generate_series(1, 3000) n WHERE l.name = 'main'
        RETURNING ledger_id, id)
    INSERT INTO ledger.balance (ledger_id, account_id) SELECT ledger_id, id FROM a"""


def source_texts(path, begin, end):
    """The texts between two marks of a C file, macros of the same file put in."""
    text = re.sub(r"/\*.*?\*/", "", (REPO / path).read_text(), flags=re.S)
    found = re.search(begin + r"(.*?)" + end, text, re.S).group(1)
    for name, value in re.findall(r"#define (\w+) +\\\n(.*?)\n\n", text, re.S):
        found = re.sub(rf"\b{name}\b", lambda _: value.replace("\\\n", ""), found)
    return found


def joined(text):
    return "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', text)).replace('\\"', '"')


def nodes(plan):
    return [plan] + [node for child in plan.get("Plans", ()) for node in nodes(child)]


def test_rows_are_found_by_key_or_by_address(databases):
    """Of every statement of a poster, as it is planned for a whole session."""
    declared = source_texts("ledger_core/journal/batch_statements.c", r"BATCH_STATEMENTS\[\] = \{",
                            r"\n\};")
    statements = {name: joined(text) for name, text in
                  re.findall(r'\{"(\w+)",((?:\s*"(?:[^"\\]|\\.)*")+)\s*\}', declared)}
    options = joined(source_texts("ledger_core/journal/journal.c", r"#define PLANNER_OPTIONS",
                                  r"\n\n"))
    database = databases.copy("wallet")
    with database.connect() as connection:
        connection.autocommit = True
        connection.execute(WALLETS)
        connection.execute("ANALYZE ledger.account, ledger.balance")
        for name, value in re.findall(r"-c (\w+)=(\w+)", options):
            connection.execute(f"SET {name} = {value}")
        scans = {}
        for name in ("lock", "accounts", "keys", "closed", "snapshots", "write", "fence"):
            connection.execute(f"PREPARE {name} AS {statements[name]}".encode())
            count = max(int(number) for number in re.findall(r"\$(\d+)", statements[name]))
            plan = connection.execute(
                f"EXPLAIN (FORMAT JSON) EXECUTE {name}(1{', NULL' * (count - 1)})").fetchone()[0]
            plan = json.loads(plan) if isinstance(plan, str) else plan
            scans[name] = {(node["Node Type"], node["Relation Name"])
                           for node in nodes(plan[0]["Plan"]) if "Scan" in node["Node Type"]
                           and "Relation Name" in node}
    by_key = {"Index Scan", "Index Only Scan"}
    others = {kind for name in scans if name != "snapshots" for kind, _ in scans[name]}
    assert others <= by_key, scans
    for name in ("lock", "fence"):
        assert ("Index Scan", "balance") in scans[name], scans
    assert scans["snapshots"] == {("Tid Scan", "balance")}, scans
