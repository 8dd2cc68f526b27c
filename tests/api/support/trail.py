"""The audit trail of a database, and the names of events that our code can write into it."""

import re

from support.settings import REPO

SOURCES = {
    "auth": ["migrations/auth/deploy/*.sql", "auth_api/*.[ch]", "ops/admin"],
    "wallet": ["migrations/wallet/deploy/*.sql", "wallet_api/*.[ch]", "ledger_core/journal/*.[ch]",
               "reports/*.[ch]", "reports/sql/*.sql"],
}
NAME = r"[a-z][a-z_]*"


def _text(path):
    """Without comments, and with the pieces of a C string put together."""
    text = path.read_text()
    if path.suffix == ".sql":
        return re.sub(r"--[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL)
    return re.sub(r'"[\s\\]*"', "", text)


def _first_argument(text):
    """Of a call whose parenthesis has just been opened."""
    depth = 0
    for place, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if depth < 0 or (depth == 0 and character == ","):
            return text[:place].strip()
    return text


def _names(argument, path):
    literal = re.fullmatch(f"'({NAME})'", argument)
    if literal:
        return {literal[1]}
    if argument.startswith("CASE"):
        return set(re.findall(rf"\b(?:THEN|ELSE)\s+'({NAME})'", argument))
    # Its declaration, a grant, or a statement to which C gives the name.
    assert argument in ("p_event text", "text", "$2::text"), (
        f"{path}: expected to be able to read which event this writes: {argument}")
    return set()


def events_in_code(project):
    """Every name that can be written: of calls of audit_write, and of C's control_note_failure."""
    names = set()
    for pattern in SOURCES[project]:
        for path in sorted(REPO.glob(pattern)):
            text = _text(path)
            for call in re.finditer(r"\baudit_write\s*\(", text):
                names |= _names(_first_argument(text[call.end():]), path)
            names |= set(re.findall(rf'\bcontrol_note_failure\([^;]*?,\s*"({NAME})"', text))
            inserts = re.findall(r"INSERT\s+INTO\s+\w+\.audit\b", text)
            assert not inserts or path.name == "audit.sql" and len(inserts) == 1, (
                f"{path}: expected audit_write to be the only way into the trail")
    return names


COLUMNS = ("id", "recorded_at", "event", "outcome", "actor", "subject", "reason", "request_id",
           "address", "agent", "detail")


def rows(database, condition="true", parameters=()):
    """Oldest first, as superuser."""
    schema = {"auth": "auth", "wallet": "ledger"}[database.project]
    found = database.query(f"SELECT {', '.join(COLUMNS)} FROM {schema}.audit WHERE {condition}"
                           " ORDER BY id", parameters)
    return [dict(zip(COLUMNS, row)) for row in found]


def shown(client):
    """All that GET /audit shows, oldest first, through pages of 1,000."""
    found, cursor = [], None
    while True:
        answer = client.get("/audit", params={"limit": 1000, **({"cursor": cursor} if cursor else {})})
        assert answer.status_code == 200, f"the trail: {answer.status_code} {answer.text[:200]}"
        found += answer.json()
        cursor = answer.headers.get("X-Next-Cursor")
        if cursor is None:
            return found[::-1]
