"""hledger, ledger and beancount: do they accept an export, and what do they say the balances are?"""

import csv
import io
import subprocess
from decimal import Decimal

from support.settings import scaled

PLAIN = ("hledger", "ledger", "beancount")
CHECKS = {"hledger": ("hledger", "-f", "{}", "check", "-s", "ordereddates"),
          "ledger": ("ledger", "--args-only", "--strict", "--pedantic", "-f", "{}", "bal"),
          "beancount": ("bean-check", "{}")}

# By the account's code, which stands in its metadata.
SUM_UP = """
import collections, sys
from beancount import loader
from beancount.core import data
entries, errors, _ = loader.load_file(sys.argv[1])
assert not errors, errors
codes = {e.account: e.meta['code'] for e in entries if isinstance(e, data.Open)}
sums = collections.Counter()
for e in entries:
    if isinstance(e, data.Transaction):
        for p in e.postings:
            sums[codes[p.account], p.units.currency] += p.units.number
for (code, currency), total in sums.items():
    print(code, currency, total, sep='\\t')
"""


def accept(name, path, timeout_s=120):
    """The program reads the file and finds nothing."""
    command = [part.format(path) for part in CHECKS[name]]
    run = subprocess.run(command, capture_output=True, timeout=scaled(timeout_s))
    assert run.returncode == 0 and run.stderr == b"", (
        f"{command}: {run.stdout[-600:]!r} {run.stderr[-2000:]!r}")


def _lines(timeout_s, *command):
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=scaled(timeout_s))
    return run.stdout.splitlines()


def _without_zeros(rows):
    return {(account, currency.strip('"')): Decimal(total)
            for account, currency, total in rows if Decimal(total) != 0}


def hledger_balances(path, timeout_s=60):
    lines = _lines(timeout_s, "hledger", "-f", path, "bal", "-N", "--flat", "-O", "csv", "--layout=bare")
    return _without_zeros((row["account"], row["commodity"], row["balance"])
                          for row in csv.DictReader(io.StringIO("\n".join(lines))))


def ledger_balances(path, timeout_s=60):
    lines = _lines(timeout_s, "ledger", "--args-only", "-f", path, "bal", "--flat", "--no-total",
                   "--balance-format", "%(account)\t%(commodity(scrub(amount)))\t"
                                       "%(quantity(scrub(amount)))\n")
    return _without_zeros(line.split("\t") for line in lines if line)


def beancount_balances(path, timeout_s=120):
    lines = _lines(timeout_s, "/usr/bin/python3", "-c", SUM_UP, path)
    return _without_zeros(line.split("\t") for line in lines)


BALANCES = {"hledger": hledger_balances, "ledger": ledger_balances, "beancount": beancount_balances}
