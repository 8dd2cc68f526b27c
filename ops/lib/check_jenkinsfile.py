"""check_jenkinsfile.py: the shape of the declarative pipeline, which a Groovy parser does not know

Reads Jenkinsfile and checks: one pipeline block with only the sections that Jenkins has; every stage
with exactly one of steps, stages, parallel and with known sections; every shell step calls a script
of ops/ that exists (or git), with a literal in single quotes, so that Groovy puts no secret and no
parameter into a command line; no step speaks of volumes, pruning or "latest".
"""

import os
import re
import sys

PIPELINE_SECTIONS = {"agent", "options", "parameters", "environment", "stages", "post", "tools",
                     "triggers", "libraries"}
STAGE_SECTIONS = {"agent", "options", "environment", "when", "input", "tools", "post", "steps",
                  "stages", "parallel", "matrix", "failFast"}
STAGE_BODIES = {"steps", "stages", "parallel", "matrix"}
CONDITIONS = {"always", "changed", "fixed", "regression", "aborted", "failure", "success",
              "unstable", "unsuccessful", "cleanup"}
FORBIDDEN = re.compile(r"\bvolumes?\b|\bprune\b|\blatest\b|\bdown\b|StrictHostKeyChecking|\bcurl\b")


def fail(message):
    sys.exit(f"Jenkinsfile: {message}")


def without_comments(text):
    """Comments become blanks; strings keep their place, braces within them become blanks."""
    out, position = [], 0
    token = re.compile(r"//[^\n]*|/\*.*?\*/|'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"", re.S)
    for match in token.finditer(text):
        out.append(text[position:match.start()])
        found = match.group()
        out.append(" " * len(found) if found.startswith("/") else re.sub(r"[{}]", " ", found))
        position = match.end()
    return "".join(out) + text[position:]


def blocks(text):
    """(name, argument, body) of every block that stands directly in the text."""
    position, depth, start, head = 0, 0, 0, None
    for index, character in enumerate(text):
        if character == "{":
            if depth == 0:
                head = text[position:index].strip().splitlines()[-1].strip()
                start = index + 1
            depth += 1
        elif character == "}":
            depth -= 1
            if depth < 0:
                fail("a } too many")
            if depth == 0:
                name, _, argument = head.partition("(")
                yield name.strip(), argument.rstrip(") ").strip("'\""), text[start:index]
                position = index + 1
    if depth:
        fail("a } is missing")


def check_stages(body):
    names = []
    for kind, name, stage in blocks(body):
        if kind != "stage":
            fail(f"'{kind}' stands in stages")
        sections = [section for section, _, _ in blocks(stage)]
        sections += re.findall(r"(?m)^\s*(agent|failFast)\s+\w+", stage)
        unknown = set(sections) - STAGE_SECTIONS
        if unknown:
            fail(f"stage {name} has no section {', '.join(sorted(unknown))}")
        if len(STAGE_BODIES & set(sections)) != 1 or len(sections) != len(set(sections)):
            fail(f"stage {name} needs exactly one of {', '.join(sorted(STAGE_BODIES))}")
        names.append(name)
        for section, _, inner in blocks(stage):
            if section in ("stages", "parallel"):
                names += check_stages(inner)
            elif section == "steps" and not inner.strip():
                fail(f"stage {name} does nothing")
    if not names or len(names) != len(set(names)):
        fail("stages must be there and have names of their own")
    return names


def check_shell(text):
    for match in re.finditer(r"\bsh\b\s*(\(\s*script:\s*)?(.)", text):
        if match.group(2) != "'":
            fail(f"a shell step must be one literal in single quotes: {text[match.start():][:60]!r}")
    commands = re.findall(r"\bsh\b\s*(?:\(\s*script:\s*)?'([^'\n]*)'", text)
    for command in commands:
        first = command.split()[0]
        if first != "git" and not (first.startswith("ops/") and os.access(first, os.X_OK)):
            fail(f"a shell step calls a script of ops/, not {first!r}")
        if FORBIDDEN.search(command):
            fail(f"no step may do this: {command}")
    if not commands:
        fail("no shell step was found")


def main():
    with open("Jenkinsfile", encoding="utf-8") as stream:
        text = without_comments(stream.read())
    top = list(blocks(text))
    if [name for name, _, _ in top] != ["pipeline"]:
        fail("there must be one pipeline block and nothing beside it")
    body = top[0][2]
    sections = {name: inner for name, _, inner in blocks(body)}
    unknown = set(sections) - PIPELINE_SECTIONS
    if unknown or "stages" not in sections or "agent" not in sections:
        fail(f"the pipeline needs agent and stages, and has no {', '.join(sorted(unknown))}")
    for condition, _, _ in blocks(sections.get("post", "")):
        if condition not in CONDITIONS:
            fail(f"post has no condition {condition}")
    names = check_stages(sections["stages"])
    check_shell(text)
    print(f"{len(names)} stages: {', '.join(names)}")


if __name__ == "__main__":
    main()
