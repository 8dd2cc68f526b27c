"""The table of who may call what, access_table.txt; also a command that holds it against the programs.

    access.py TABLE PROGRAM ...    exits with 1 when a route of a program has no row, or a row no route
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TABLE = Path(__file__).resolve().parents[1] / "access_table.txt"


@dataclass(frozen=True)
class Row:
    service: str
    method: str
    pattern: str
    who: str  # public, bearer, or roles with commas between them
    kind: str  # of the object; "" when there is none, or only a missing one
    expected: tuple  # of (own | foreign | missing, status)
    body: str  # JSON, or ""

    def __str__(self):
        return f"{self.service} {self.method} {self.pattern}"


def read(path=TABLE):
    rows = []
    for number, line in enumerate(Path(path).read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split(None, 5)
        if len(words) < 5:
            raise ValueError(f"{path}:{number}: SERVICE METHOD PATTERN WHO OBJECT are needed")
        if any(words[:3] == [row.service, row.method, row.pattern] for row in rows):
            raise ValueError(f"{path}:{number}: a second row for this route")
        objects = [] if words[4] == "-" else words[4].split(",")
        kind = objects.pop(0) if objects and "=" not in objects[0] else ""
        expected = tuple((case, int(status)) for case, status in
                         (one.split("=") for one in objects))
        rows.append(Row(*words[:4], kind, expected, words[5] if len(words) > 5 else ""))
    return rows


def routes_of(program):
    """{(service, METHOD, pattern): access}"""
    run = subprocess.run([program, "--print-routes"], capture_output=True, text=True, check=True)
    lines = (line.split() for line in run.stdout.splitlines())
    return {(Path(program).name, method, pattern): access for method, pattern, access in lines}


def main(table, *programs):
    routes = {}
    for program in programs:
        routes.update(routes_of(program))
    rows = {(row.service, row.method, row.pattern): row.who for row in read(table)}
    wrong = [f"no row for the route: {' '.join(route)} {access} -"
             for route, access in routes.items() if route not in rows]
    wrong += [f"no route for the row: {' '.join(row)}" for row in rows if row not in routes]
    wrong += [f"{' '.join(row)}: the table says {who}, the program {routes[row]}"
              for row, who in rows.items() if row in routes and routes[row] != who]
    for problem in wrong:
        print(f"{table}: {problem}", file=sys.stderr)
    if wrong:
        print("tests/api/README.md, \"A new route\", says what to do.", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
