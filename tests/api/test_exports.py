"""ledger_report export: what hledger, ledger and beancount say about the books, and whether they come to
the same totals as we do; that a range is always the same bytes, and its parts the whole."""

import csv
import hashlib
import io
import json
import subprocess
import tempfile
import threading
import uuid
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest

from support import plain_text
from support.api import User, assert_ok, new_key
from support.books import CURRENCIES, Books, make_currencies, run_tool
from support.plain_text import PLAIN
from support.service import Service, base_environment
from support.settings import binary, scaled

FORMATS = (*PLAIN, "csv", "jsonl")
HOSTILE = [
    "; comment", "two  spaces", "tab\there", "line\nline", "a | b", "@ 5 USD", "= 7", "*", "!", "(code)",
    "include /etc/passwd", '"quoted"', "back\\slash", "\u202egnp.exe", "emoji \U0001f4b0", " edges ",
    "100 % %41", "=cmd|'/c calc'!A0", "+1", "-1", "@SUM(A1)", "\u2028end\u0085", "\ufeffbom", "{ }",
    "\r\n2026-01-01 * forged\n    a  1 USD\n    b\n", "~ monthly", "é ü ъ 漢", "x" * 3000,
]


@pytest.fixture(scope="module")
def database(databases):
    database = databases.copy("wallet")
    make_currencies(database)
    return database


@pytest.fixture(scope="module")
def service(database, secret, folder):
    service = Service("wallet_api", {**database.environment(), "JWT_SECRET": secret}, folder).start()
    yield service
    service.stop()


@pytest.fixture(scope="module")
def books(service, secret):
    """Some thousand postings: single ones, and batches."""
    books = Books(service, secret, seed=20261125)
    books.happen(300)
    for user in books.users:
        own = [account for account, (owner, _) in books.accounts.items() if owner is user]
        for _ in range(3):
            operations = [{"type": "deposit", "account_id": (account := books.random.choice(own)),
                           "amount": books.amount(books.accounts[account][1]),
                           "idempotency_key": new_key()} for _ in range(150)]
            assert_ok(user.http.post("/wallet/batch", json={"operations": operations}))
    yield books
    books.close()


def plant(database, texts):
    """Transactions with such descriptions, which an operator could give."""
    database.execute("SET ROLE wallet_service")
    with database.connect() as connection:
        accounts = connection.execute(
            "SELECT b.account_id, b.posted, b.entries FROM ledger.balance b JOIN ledger.account a"
            " ON a.ledger_id = b.ledger_id AND a.id = b.account_id"
            " WHERE a.asset = 'RUB' AND a.owner_id IS NOT NULL ORDER BY 1 LIMIT 2").fetchall()
        state = {account: [posted, entries] for account, posted, entries in accounts}
        for text in texts:
            with connection.transaction():
                plant_one(connection, state, text)


def plant_one(connection, state, text):
    transaction = uuid.uuid4()
    legs = []
    for account, amount in zip(state, (7, -7)):
        state[account][0] += amount
        state[account][1] += 1
        legs.append((account, state[account][1], amount, state[account][0]))
        connection.execute(
            "UPDATE ledger.balance SET posted = %s, entries = %s WHERE ledger_id = 1 AND account_id = %s",
            (*state[account], account))
    connection.execute(
        "WITH t AS (INSERT INTO ledger.transaction (ledger_id, id, kind, principal, idempotency_key,"
        " request_digest, description) VALUES (1, %s, 'adjustment', %s, %s, sha256('x'), %s))"
        " INSERT INTO ledger.entry (ledger_id, account_id, seq, transaction_id, amount, balance_after)"
        " SELECT 1, a, s, %s, m, b FROM unnest(%s::uuid[], %s::bigint[], %s::numeric[], %s::numeric[])"
        " u(a, s, m, b)",
        (transaction, transaction, text[:200] or "key", text, transaction, *map(list, zip(*legs))))


def export(database, name, *arguments):
    run = run_tool(database, "export", "--format", name, *arguments)
    assert run.returncode == 0, run.stderr.decode()
    assert run.stderr == b"", "expected silence without a terminal"
    return run.stdout


def programs_accept(folder, **texts):
    """Each of the three programs reads its file and finds nothing."""
    for name, text in texts.items():
        path = folder / f"books.{name}"
        path.write_bytes(text)
        plain_text.accept(name, path)


def our_balances(database, to):
    run = run_tool(database, "trial-balance", "--depth", "0", "--format", "json", "--as-of", to)
    assert run.returncode == 0, run.stderr.decode()
    return {(line["code"], line["currency"]): Decimal(line["balance"])
            for line in json.loads(run.stdout)["lines"] if Decimal(line["balance"]) != 0}


def range_of(manifest):
    return ("--from", str(manifest["from"]), "--to", str(manifest["to"]))


def with_manifest(database, folder, name, *arguments):
    path = folder / f"{name}.json"
    text = export(database, name, "--manifest", str(path), *arguments)
    manifest = json.loads(path.read_text())
    assert manifest["format"] == name and manifest["ledger"] == "main"
    assert manifest["sha256"] == hashlib.sha256(text).hexdigest()
    assert manifest["bytes"] == len(text)
    return text, manifest


def test_three_programs_come_to_our_totals(database, books, tmp_path):
    text, manifest = with_manifest(database, tmp_path, "hledger")
    span = range_of(manifest)
    texts = {"hledger": text, **{name: export(database, name, *span) for name in PLAIN[1:]}}
    programs_accept(tmp_path, **texts)
    ours = our_balances(database, moment_of(manifest["to"]))
    assert {currency for _, currency in ours} == set(CURRENCIES)
    for name in PLAIN:
        assert plain_text.BALANCES[name](tmp_path / f"books.{name}") == ours, name


def moment_of(position):
    """RFC 3339, without going through a float."""
    at = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=position)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_the_programs_find_what_is_wrong(database, books, tmp_path):
    """The gate is one: a changed amount, a lost transaction, a wrong balance are refused."""
    text = export(database, "hledger").decode()
    blocks = text.split("\n\n")
    middle = len(blocks) // 2
    lines = blocks[middle].splitlines()
    changed = "\n".join([lines[0], lines[1].replace("  ", "  1", 2), *lines[2:]])
    for bad in ([*blocks[:middle], changed, *blocks[middle + 1:]],
                [*blocks[:middle], *blocks[middle + 1:]]):
        with pytest.raises(AssertionError):
            programs_accept(tmp_path, hledger="\n\n".join(bad).encode())


@pytest.mark.parametrize("name", FORMATS)
def test_a_range_is_always_the_same_bytes(database, service, books, secret, tmp_path, name):
    first, manifest = with_manifest(database, tmp_path, name)
    books.happen(5)
    again, its_manifest = with_manifest(database, tmp_path, name, *range_of(manifest))
    assert again == first and its_manifest == manifest
    assert export(database, name, "--to", moment_of(manifest["to"])) == first


def test_a_range_that_ends_now_is_whole(database, service, secret, tmp_path):
    """While others post: what is booked in its last second comes behind the rest, and all of it."""
    over = threading.Event()

    def post():
        user = User(service, secret)
        account = user.account()
        while not over.is_set():
            assert_ok(user.deposit(account, "0.01"))
        user.http.close()

    writers = [threading.Thread(target=post) for _ in range(3)]
    for writer in writers:
        writer.start()
    try:
        taken = [with_manifest(database, tmp_path, name) for name in ("hledger", "jsonl", "beancount")]
    finally:
        over.set()
        for writer in writers:
            writer.join()
    for text, manifest in taken:
        last = manifest["to"] - 1_000_000
        assert export(database, "csv", "--from", str(last), "--to", str(manifest["to"])).count(b"\n") > 10
        assert export(database, manifest["format"], *range_of(manifest)) == text


def test_accounts_that_are_forgotten_change_nothing(database, books, tmp_path):
    """Fewer in memory than there are: they are asked for again, and so are the last balances."""
    text, manifest = with_manifest(database, tmp_path, "jsonl")
    # Of the second half too, which has opening balances.
    middle = str(json.loads(text.splitlines()[1000])["position"])
    for span in (range_of(manifest), ("--from", middle, "--to", str(manifest["to"]))):
        for name in FORMATS:
            whole = export(database, name, *span)
            assert export(database, name, "--remember", "1", *span) == whole


def test_an_entry_of_no_account_is_named(database, books):
    """As somebody could leave it behind who is above all checks."""
    account = uuid.uuid4()
    with database.connect() as connection:
        connection.execute("SET session_replication_role = replica")
        entry = connection.execute(
            "INSERT INTO ledger.entry SELECT ledger_id, %s, 1, id, 5, 5 FROM ledger.transaction LIMIT 1"
            " RETURNING transaction_id", (account,)).fetchone()
        try:
            run = run_tool(database, "export", "--format", "csv")
        finally:
            connection.execute("DELETE FROM ledger.entry WHERE account_id = %s", (account,))
    assert run.returncode == 2
    assert str(account) in run.stderr.decode() and str(entry[0]) in run.stderr.decode()


def test_parts_make_the_whole(database, books, tmp_path):
    whole, manifest = with_manifest(database, tmp_path, "jsonl")
    lines = whole.splitlines(keepends=True)
    positions = sorted({json.loads(line)["position"] for line in lines})
    edges = [0, *positions[len(positions) // 3:: len(positions) // 3][:2], manifest["to"]]
    parts, sums = [], defaultdict(Decimal)
    for begin, end in zip(edges, edges[1:]):
        text, part = with_manifest(database, tmp_path, "jsonl", "--from", str(begin), "--to", str(end))
        parts.append(text)
        for currency in part["currencies"]:
            assert currency["debit"] == currency["credit"]
            sums[currency["currency"]] += Decimal(currency["debit"])
        # Each part is a file that the programs accept by itself.
        programs_accept(tmp_path, **{name: export(database, name, "--from", str(begin), "--to", str(end))
                                     for name in PLAIN})
    assert b"".join(parts) == whole
    assert sums == {currency["currency"]: Decimal(currency["debit"])
                    for currency in manifest["currencies"]}
    assert manifest["transactions"] == len(lines)
    assert manifest["entries"] == sum(len(json.loads(line)["entries"]) for line in lines)


@pytest.fixture(scope="module")
def hostile(database, books):
    plant(database, HOSTILE)


def test_hostile_text_stays_text(database, hostile, tmp_path):
    first, manifest = with_manifest(database, tmp_path, "jsonl")
    texts = {"jsonl": first, **{name: export(database, name, *range_of(manifest))
                                for name in ("hledger", "csv")}}
    (tmp_path / "books.hledger").write_bytes(texts["hledger"])
    lines = [json.loads(line) for line in texts["jsonl"].splitlines()]
    assert [line["description"] for line in lines if line["kind"] == "adjustment"] == HOSTILE
    # hledger reads as many transactions, and each description in its escaped form.
    run = subprocess.run(["hledger", "-f", tmp_path / "books.hledger", "print", "-O", "json"],
                         capture_output=True, check=True, timeout=scaled(60))
    transactions = json.loads(run.stdout)
    assert len(transactions) == len(lines)
    seen = [unescaped(t["tdescription"]) for t in transactions
            if t["tdescription"].startswith("adjustment")]
    assert seen == [f"adjustment | {text}" for text in HOSTILE]
    rows = list(csv.DictReader(io.StringIO(texts["csv"].decode(), newline="")))
    cells = [row["description"] for row in rows if row["kind"] == "adjustment"][::2]
    assert [cell.removeprefix("'") for cell in cells] == HOSTILE
    assert not [cell for row in rows for name, cell in row.items()
                if name not in ("amount", "balance_after") and cell[:1] in tuple("=+-@\t\r")]


def test_hostile_codes_stay_names(database, hostile, tmp_path):
    """Codes that only somebody with the owner's rights could give: each stays one account, and the
    three programs come to our totals, with the hostile texts in the same files."""
    codes = [f"liabilities:x:{number}:{text[:200]}" for number, text in enumerate(HOSTILE)]
    codes += [text[:200] for text in HOSTILE] + ["liabilities", ":", "a::b", "equity:opening balances",
                                                 "Assets:settlement:RUB", "liabilities:X", "a" * 255]
    ids = {code: uuid.uuid4() for code in codes}
    # beancount's name of the one before last is this, which no other may get.
    ids[f"liabilities:x-{ids['liabilities:X']}"] = uuid.uuid4()
    database.execute("SET ROLE wallet_owner")
    with database.connect() as connection:
        for code, account in ids.items():
            connection.execute("INSERT INTO ledger.account (ledger_id, id, asset, class, code)"
                               " VALUES (1, %s, 'RUB', 'liability', %s)", (account, code))
            connection.execute("INSERT INTO ledger.balance (ledger_id, account_id) VALUES (1, %s)", (account,))
        accounts = list(ids.values())
        for pair in zip(accounts, accounts[1:]):
            plant_one(connection, {account: list(connection.execute(
                "SELECT posted, entries FROM ledger.balance WHERE account_id = %s", (account,)).fetchone())
                for account in pair}, f"key {pair[0]}")
    _, manifest = with_manifest(database, tmp_path, "jsonl")
    ours = our_balances(database, moment_of(manifest["to"]))
    assert {code for code, _ in ours} >= {codes[0], f"liabilities:x-{ids['liabilities:X']}"}
    for name in PLAIN:
        programs_accept(tmp_path, **{name: export(database, name, *range_of(manifest))})
        theirs = plain_text.BALANCES[name](tmp_path / f"books.{name}")
        assert {(unescaped(code), currency): total for (code, currency), total in theirs.items()} == ours, name
    rows = csv.DictReader(io.StringIO(export(database, "csv", *range_of(manifest)).decode(), newline=""))
    assert not [row["account_code"] for row in rows if row["account_code"][:1] in tuple("=+-@\t\r")]


def unescaped(text):
    raw, at = bytearray(), 0
    data = text.encode()
    while at < len(data):
        if data[at:at + 1] == b"%":
            raw.append(int(data[at + 1:at + 3], 16))
            at += 3
        else:
            raw.append(data[at])
            at += 1
    return raw.decode()


@pytest.mark.parametrize("arguments, status, words", [
    ((), 64, "--format"),
    (("--format", "qif"), 64, "--format"),
    (("--format", "csv", "--from", "x"), 64, "--from"),
    (("--format", "csv", "--from", "99999999999999999999"), 64, "--from"),
    (("--format", "csv", "--from", "2", "--to", "1"), 64, "--from"),
    (("--format", "csv", "--remember", "0"), 64, "--remember"),
    (("--format", "csv", "--remember", "65537"), 64, "--remember"),
    (("--format", "csv", "--to", "2999-01-01"), 2, "passed"),
    (("--format", "csv", "--manifest", "/nowhere/m"), 2, "/nowhere/m"),
    (("--format", "csv", "word"), 64, "word"),
])
def test_what_it_refuses(database, books, arguments, status, words):
    run = run_tool(database, "export", *arguments)
    assert run.returncode == status and words in run.stderr.decode(), run


def test_an_empty_range(database, books, tmp_path):
    for name in FORMATS:
        text, manifest = with_manifest(database, tmp_path, name, "--to", "1")
        assert manifest["entries"] == 0 and manifest["currencies"] == []
        if name in PLAIN:
            programs_accept(tmp_path, **{name: text})


def test_a_full_disk_is_told(database, books):
    with open("/dev/full", "wb") as full:
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run([binary("ledger_report"), "export", "--format", "csv"], cwd=folder,
                                 stdout=full, stderr=subprocess.PIPE,
                                 env={**base_environment(), **database.environment()},
                                 timeout=scaled(60))
    assert run.returncode == 2 and b"cannot be written" in run.stderr
