"""Scenes that several directed tests need."""

import contextlib
import threading

import httpx
from support.waiting import wait_until


@contextlib.contextmanager
def accounts_locked(bank):
    """Nobody can post meanwhile: whatever arrives waits and becomes one batch."""
    with bank.database.connect() as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT FROM ledger.balance FOR UPDATE")
        try:
            yield
        finally:
            connection.execute("ROLLBACK")


def metric(bank, name):
    """A number of /metrics without labels; the journal's are brought up to date every second."""
    text = httpx.get(bank.service.url + "/metrics", trust_env=False).text
    for line in text.splitlines():
        if line.startswith(name + " "):
            return int(line.split()[1])
    raise AssertionError(f"no metric {name}")


def wait_queued(bank, count):
    wait_until(lambda: metric(bank, "wallet_posting_queue") >= count, f"{count} commands wait")


def in_background(work):
    """Runs work() in a thread; the returned function waits for it and gives its result."""
    result = []
    thread = threading.Thread(target=lambda: result.append(work()))
    thread.start()

    def wait():
        thread.join()
        assert result, "the background work has failed"
        return result[0]

    return wait


def wait_lock(bank):
    """The service waits for a lock, so its next batch is gathering."""
    wait_until(lambda: bank.database.query(
        "SELECT count(*) FROM pg_stat_activity WHERE usename = 'wallet_service'"
        " AND wait_event_type = 'Lock' AND datname = %s", (bank.database.name,)) != [(0,)],
        "the service waits for a lock")


def refuse(bank, condition, statement, code="P0001"):
    """A trigger of the superuser on entries, called where `condition` (of NEW) holds."""
    bank.database.execute(f"""
        CREATE SEQUENCE public.attempts;
        CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
            {statement}
            RETURN NEW;
        END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON ledger.entry FOR EACH ROW WHEN ({condition})
            EXECUTE FUNCTION public.refuse();""".replace("SQLCODE", code))


RAISE = "RAISE EXCEPTION 'refused for the test' USING ERRCODE = 'SQLCODE';"
