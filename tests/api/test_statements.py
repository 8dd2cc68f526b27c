"""External reconciliation: bank statements through ledger_report, against postings of the running
wallet_api. What is imported, matched and broken is looked at in the tool's own output and in the
database."""

import datetime
import json
import subprocess
import threading

import pytest

from support.api import new_key
from support.books import Reader
from support.settings import binary, scaled

TODAY = datetime.datetime.now(datetime.timezone.utc).date()


@pytest.fixture
def tool(wallet_database, tmp_path):
    """Runs ledger_report as the service's role."""

    def run(*arguments, status=0, **more):
        done = subprocess.run([binary("ledger_report"), *map(str, arguments)], cwd=tmp_path,
                              env=wallet_database.environment() | {"TZ": "UTC"} | more,
                              capture_output=True, text=True, timeout=scaled(60))
        assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
        return done.stdout if status == 0 else done.stderr

    return run


class Bank:
    """An account at a bank: writes its next statement as MT940, when told what happened."""

    def __init__(self, folder, currency):
        self.folder, self.currency = folder, currency
        self.balance, self.number = 0, 0

    def amount(self, minor):
        return f"{abs(minor) // 100},{abs(minor) % 100:02}"

    def balance_field(self, tag):
        mark = "D" if self.balance < 0 else "C"
        return f":{tag}:{mark}{TODAY:%y%m%d}{self.currency}{self.amount(self.balance)}"

    def statement(self, *lines, number=None):
        """Lines are (minor, reference). The file."""
        self.number = number or self.number + 1
        text = [":20:BANK", ":25:4711", f":28C:{self.number}", self.balance_field("60F")]
        for minor, reference in lines:
            text.append(f":61:{TODAY:%y%m%d}{'C' if minor > 0 else 'D'}{self.amount(minor)}"
                        f"NTRFNONREF//B{self.number}")
            if reference:
                text.append(f":86:/EREF/{reference}/")
            self.balance += minor
        text.append(self.balance_field("62F"))
        path = self.folder / f"statement-{self.currency}-{self.number}.sta"
        path.write_text("\r\n".join(text) + "\r\n")
        return path


@pytest.fixture
def bank(tmp_path, wallet_database, user):
    """A bank for a currency that no test has used."""
    unused, = wallet_database.query("""
        SELECT a.asset FROM ledger.account a JOIN ledger.asset s ON (s.ledger_id, s.code)
                                                             = (a.ledger_id, a.asset)
         WHERE a.code LIKE 'assets:settlement:%%' AND s.decimals = 2 AND a.asset > 'M'
           AND NOT EXISTS (SELECT FROM ledger.entry e WHERE e.account_id = a.id)
           AND NOT EXISTS (SELECT FROM ledger.statement t WHERE t.account_id = a.id)
         ORDER BY a.asset LIMIT 1""")
    bank = Bank(tmp_path, unused[0])
    bank.wallet = user.open(currency=bank.currency).json()["id"]
    return bank


@pytest.fixture
def reader(wallet_service, secret):
    reader = Reader(wallet_service, secret)
    yield reader
    reader.http.close()


def breaks(tool, bank):
    report = json.loads(tool("breaks", "--format", "json", "--currency", bank.currency))
    return report["lines"]


def rows(database, table, bank):
    return database.query(f"""SELECT count(*) FROM ledger.{table} WHERE account_id = (
        SELECT id FROM ledger.account WHERE code = 'assets:settlement:' || %s)""",
                          (bank.currency,))[0][0]


def test_a_statement_is_matched_with_the_journal(tool, bank, user, wallet_database):
    keys = [new_key() for _ in range(4)]
    for key in keys[:3]:
        assert user.deposit(bank.wallet, "10.00", key).status_code == 200
    sent = user.withdraw(bank.wallet, "7.31", keys[3]).json()
    assert sent["status"] == "success"
    # The first by its key, the withdrawal by its amount alone, a line that is nobody's.
    file = bank.statement((1000, keys[0]), (1000, keys[1]), (-731, None), (-250, None))
    out = tool("import-statement", file)
    assert "4 lines" in out and "3 new matches, 2 open breaks" in out
    found = breaks(tool, bank)
    assert [(b["side"], b["category"], b["amount"]) for b in found] == [
        ("bank", "missing_in_ledger", "-2.50"), ("ledger", "missing_in_statement", "10.00")]
    # The next day brings the third deposit.
    out = tool("import-statement", bank.statement((1000, keys[2])))
    assert "1 new matches, 1 open breaks" in out
    assert [b["amount"] for b in breaks(tool, bank)] == ["-2.50"]
    passes = wallet_database.query("""SELECT m.pass FROM ledger.statement_match m
        JOIN ledger.account a ON a.id = m.account_id WHERE a.code = %s ORDER BY m.id""",
                                   (f"assets:settlement:{bank.currency}",))
    assert sorted(p for p, in passes) == [1, 1, 1, 2]


def test_the_same_again_is_nothing(tool, bank, wallet_database):
    file = bank.statement((1000, "somebody"))
    tool("import-statement", file)
    before = {table: rows(wallet_database, table, bank)
              for table in ("statement", "statement_line", "statement_match", "statement_break")}
    assert "there already" in tool("import-statement", file)
    # The same statement in another file.
    other = file.with_suffix(".other")
    other.write_text(file.read_text() + "\r\n")
    assert "there already" in tool("import-statement", other)
    assert "0 new matches" in tool("breaks", "match")
    assert before == {table: rows(wallet_database, table, bank) for table in before}


def test_what_is_refused_leaves_nothing(tool, bank, wallet_database, tmp_path):
    first = bank.statement((1000, "a"))
    tool("import-statement", first)

    def refused(text, reason, *arguments):
        path = tmp_path / "refused.sta"
        path.write_text(text)
        assert reason in tool("import-statement", *arguments, path, status=1)
        assert rows(wallet_database, "statement", bank) == 1

    good = bank.statement((500, "b"), (-100, "c")).read_text()
    refused(good.replace("C5,00N", "C5,01N"), "closing balance")
    refused(first.read_text().replace("/EREF/a/", "/EREF/z/"), "with another content")
    refused(good.replace(":28C:2", ":28C:4"), "number is 4 where 2 must follow")
    refused(good.replace(":25:4711", ":25:4712"), "another account of the bank")
    shifted = good.replace(f"{bank.currency}10,00", f"{bank.currency}11,00")
    refused(shifted.replace(f"{bank.currency}14,00", f"{bank.currency}15,00"), "closed with 1000")
    refused(good.replace(bank.currency, "EUR"), "another currency", "--account",
            f"assets:settlement:{bank.currency}")
    refused(good, "no such account", "--account", "assets:settlement:nowhere")
    # The second statement of a file is wrong: the first of it is not there either.
    wrong = good + good.replace(":28C:2", ":28C:3")
    refused(wrong, "closed with 1400")
    # What is right goes in behind all that.
    path = tmp_path / "good.sta"
    path.write_text(good)
    assert "number 2" in tool("import-statement", path)


def test_breaks_are_assigned_and_resolved(tool, bank, user, wallet_database):
    key = new_key()
    assert user.deposit(bank.wallet, "50.00", key).status_code == 200
    tool("import-statement", bank.statement((4990, key), (-120, None), (120, None)))
    found = {b["amount"]: b for b in breaks(tool, bank)}
    assert found["49.90"]["category"] == found["50.00"]["category"] == "amount_mismatch"
    ids = [found[amount]["id"] for amount in ("49.90", "50.00")]

    tool("breaks", "assign", "--owner", "anna", "--reason", "asks the bank", ids[0])
    assert {b["id"]: b["owner"] for b in breaks(tool, bank)}[ids[0]] == "anna"
    tool("breaks", "assign", "--owner", "anna", ids[0], 999999999, status=2)

    # Two lines that undo each other are one match, and nothing is posted.
    tool("breaks", "resolve", "--reason", "undone", found["-1.20"]["id"], found["1.20"]["id"])

    # The fee is posted, by one, approved by another.
    fees = f"expenses:bank:{bank.currency}"
    wallet_database.execute("""WITH a AS (INSERT INTO ledger.account
            (ledger_id, id, asset, class, code) VALUES (1, gen_random_uuid(), %s, 'expense', %s)
            RETURNING ledger_id, id)
        INSERT INTO ledger.balance (ledger_id, account_id) SELECT ledger_id, id FROM a""",
                            (bank.currency, fees))
    resolve = ("breaks", "resolve", "--reason", "fee of the bank", "--by", "anna")
    tool(*resolve, *ids, status=2)  # the two sides differ
    tool(*resolve, "--against", fees, *ids, status=64)
    tool(*resolve, "--against", fees, "--approved-by", "anna", *ids, status=64)
    tool(*resolve, "--against", "expenses:nowhere", "--approved-by", "boris", *ids, status=2)
    assert len(breaks(tool, bank)) == 2
    tool(*resolve, "--against", fees, "--approved-by", "boris", *ids)
    assert breaks(tool, bank) == []
    tool(*resolve, "--against", fees, "--approved-by", "boris", *ids, status=2)  # not twice
    posted = wallet_database.query("""SELECT t.kind, e.amount, b.posted FROM ledger.entry e
        JOIN ledger.transaction t ON t.id = e.transaction_id
        JOIN ledger.account a ON a.id = e.account_id JOIN ledger.balance b ON b.account_id = a.id
        WHERE a.code = %s""", (fees,))
    assert posted == [("adjustment", 10, 10)]
    # The books now say what the bank says.
    balance, = wallet_database.query("""SELECT b.posted FROM ledger.balance b
        JOIN ledger.account a ON a.id = b.account_id WHERE a.code = %s""",
                                     (f"assets:settlement:{bank.currency}",))
    assert balance[0] == bank.balance


def test_history_stays_as_it_is(tool, bank, wallet_database):
    tool("import-statement", bank.statement((1000, "a")))
    for table in ("statement", "statement_line", "statement_break", "statement_break_event"):
        for change in (f"DELETE FROM ledger.{table}", f"TRUNCATE ledger.{table} CASCADE",
                       f"UPDATE ledger.{table} SET ledger_id = 1"):
            with pytest.raises(Exception, match="kept for ever"):
                wallet_database.execute(change)


def test_two_imports_at_once(tool, bank, wallet_database):
    file = bank.statement((1000, "a"), (2000, "b"))
    outs = []
    threads = [threading.Thread(target=lambda: outs.append(tool("import-statement", file)))
               for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum("there already" in out for out in outs) == 3 and len(outs) == 4
    assert rows(wallet_database, "statement", bank) == 1


def test_reports_of_breaks(tool, bank):
    tool("import-statement", bank.statement((1000, "=cmd()")))
    header, line, total = tool("breaks", "--format", "csv", "--currency",
                               bank.currency).splitlines()[:3]
    assert header.startswith("section,id,currency,side,day,age,days,category,amount")
    assert f"{bank.currency},bank,{TODAY},0,0-1,missing_in_ledger,10.00" in line
    assert total.startswith("totals,")
    assert "missing_in_ledger" in tool("breaks", "list", "--currency", bank.currency)
    assert breaks(tool, bank)[0]["code"] == f"assets:settlement:{bank.currency}"


def test_breaks_over_http(tool, bank, reader):
    tool("import-statement", bank.statement((1000, "a"), (-20, None)))
    answer = reader.report("breaks", currency=bank.currency)
    assert answer["lines"] == breaks(tool, bank)
    assert [row["amount"] for row in answer["totals"]] == ["9.80"]
    assert "missing_in_ledger" in reader.get("breaks", format="csv").text
    before = reader.report("breaks", currency=bank.currency, as_of="2026-01-01T00:00:00Z")
    assert before["lines"] == []


@pytest.mark.parametrize("arguments", [
    ("import-statement",), ("import-statement", "--format", "qif", "x"),
    ("import-statement", "a", "b"), ("breaks", "resolve", "1"), ("breaks", "assign", "1"),
    ("breaks", "resolve", "--reason", "x"), ("breaks", "resolve", "--reason", "x", "1", "1"),
    ("breaks", "resolve", "--reason", "x", "0"), ("breaks", "match", "--window-days", "31"),
    ("breaks", "nonsense")])
def test_usage(tool, arguments):
    tool(*arguments, status=64)


def test_help(tool):
    assert "example:" in tool("import-statement", "--help")
    assert "example:" in tool("breaks", "--help")
    tool("import-statement", "nowhere.xml", status=2)
