"""What the clients did and were told: one JSON object per line.

    {"e": "setup", "users": [uuid], "accounts": [[uuid, user, currency, decimals]], "poison": minor}
    {"e": "i", "n": 17, "t": ns, "s": service, "op": "money", "u": user, ...}     before it is sent
    {"e": "a", "n": 17, "t": ns, "st": 200, "b": "<the whole body>"}              after the answer
    {"e": "a", "n": 17, "t": ns, "lost": "reset"}                                 there was none
    {"e": "mark", "t": ns, "what": "final"}                                    a moment of the run

Times are CLOCK_MONOTONIC. Accounts and users are numbers of the setup; an account of NOBODY does
not exist. An invocation is written with one write() before its request is sent. It is not synced to
the disk: the writer is never killed, and what it has written survives it in any case.

    money        "q": [kind, own, other, minor], "key", "form": "header" | "body" | "both"
    batch        "atomic", "items": [[key, kind, own, other, minor]]
    balance      "a"                            accounts     (all of the user's)
    history      "a", "limit", "offset" or "cursor"
    transaction  "id"

"again" names the invocation whose request is sent once more on purpose to learn its outcome; "f" is
1 in the final phase, when everything is healed and nothing else is under way.
"""

import json
import os
from collections import namedtuple

NOBODY = -1
NOBODY_ID = "00000000-0000-7000-8000-000000000000"

Account = namedtuple("Account", "id user currency decimals")
Request = namedtuple("Request", "kind own other minor")

# What an answer says about the one command of its key.
POSTED = "posted"  # done, by this very request
REPLAYED = "replayed"  # done before, by the same request; told once more
USED = "used"  # the key was used before: 409, or 422 of another request
REFUSED = "refused"  # decided: not done, for a reason
NOT_DONE = "not done"  # the service says that it did nothing and may do it later
FAILED = "failed"  # the service says that the database refuses it
UNKNOWN = "unknown"  # nobody knows

TYPE_PREFIX = "urn:pacioli:problem:"


class Setup:
    def __init__(self, record):
        self.users = record["users"]
        self.accounts = [Account(*account) for account in record["accounts"]]
        self.poison = record["poison"]
        self.number_of = {account.id: number for number, account in enumerate(self.accounts)}

    def account_id(self, number):
        return NOBODY_ID if number == NOBODY else self.accounts[number].id

    def record(self):
        return {"e": "setup", "users": self.users, "accounts": [list(a) for a in self.accounts],
                "poison": self.poison}

    def static_refusal(self, user, request):
        """The problem code that this request must be refused with whatever the balances are, or
        None: the ladder of posting.h, as far as it does not depend on the moment."""
        kind, own, other, minor = request
        if kind == "transfer" and own == other and own != NOBODY:
            return "same_account"
        if own == NOBODY or (kind == "transfer" and other == NOBODY):
            return "account_not_found"
        if self.accounts[own].user != user:
            return "not_owner" if kind == "transfer" else "account_not_found"
        if kind == "transfer" and self.accounts[own].currency != self.accounts[other].currency:
            return "asset_mismatch"
        return None


class Writer:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, record):
        os.write(self.file, json.dumps(record, separators=(",", ":")).encode() + b"\n")

    def close(self):
        os.close(self.file)


def read(path):
    """Every record; a last line that was cut off would be an error of the rig, and fails."""
    with open(path, "rb") as lines:
        for line in lines:
            yield json.loads(line)


def pairs(path):
    """(invocation, answer) of every request, in the order of the answers; those without an answer
    come last, with one made up that says so."""
    waiting = {}
    for record in read(path):
        if record["e"] == "i":
            waiting[record["n"]] = record
        elif record["e"] == "a":
            yield waiting.pop(record["n"]), record
    for record in waiting.values():
        yield record, {"e": "a", "n": record["n"], "t": None, "lost": "no answer recorded"}


# ---- answers ----


def problem_code(body):
    """The code of a problem's type, or ""."""
    kind = body.get("type", "") if isinstance(body, dict) else ""
    return kind[len(TYPE_PREFIX):] if kind.startswith(TYPE_PREFIX) else ""


def parse_body(answer):
    try:
        return json.loads(answer.get("b") or "null")
    except ValueError:
        return None


def classify(status, code, replayed):
    """What an answer (of a single call, or of one operation of a batch) says."""
    if status == 200:
        return REPLAYED if replayed else POSTED
    if status == 409 or code == "idempotency_key_reused":
        return USED
    if status == 503:
        return NOT_DONE if code in ("unavailable", "overloaded") else UNKNOWN
    if status == 500:
        return FAILED
    if status is not None and 400 <= status < 500:
        return REFUSED
    return UNKNOWN


def minor_text(minor, decimals):
    if decimals == 0:
        return str(minor)
    sign, digits = ("-", str(-minor)) if minor < 0 else ("", str(minor))
    digits = digits.rjust(decimals + 1, "0")
    return f"{sign}{digits[:-decimals]}.{digits[-decimals:]}"


def minor_of(text, decimals):
    """The opposite; None for what is not written exactly so."""
    if not isinstance(text, str):
        return None
    try:
        minor = int(text.replace(".", "", 1))
    except ValueError:
        return None
    return minor if minor_text(minor, decimals) == text else None
