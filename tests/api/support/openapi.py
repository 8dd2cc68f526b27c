"""OpenAPI 3.1 documents: finding one's way in them, and holding answers against them."""

import json
import re

import jsonschema

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


def resolve(document, node):
    """Follows `$ref`s within the document."""
    for _ in range(10):
        if not (isinstance(node, dict) and "$ref" in node):
            return node
        assert node["$ref"].startswith("#/"), f"expected a reference within: {node['$ref']}"
        place = node["$ref"]
        node = document
        for step in place[2:].split("/"):
            step = step.replace("~1", "/").replace("~0", "~")
            assert step in node, f"expected {place} to lead somewhere"
            node = node[step]
    raise AssertionError("references in a circle")


def operations(document):
    """(METHOD, path, operation) of all, with the path's parameters added to the operation's."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                shared = item.get("parameters", [])
                yield method.upper(), path, {
                    **operation, "parameters": shared + operation.get("parameters", [])}


def media_types(document, operation):
    """(where, media type, its object) of all bodies of an operation."""
    if "requestBody" in operation:
        body = resolve(document, operation["requestBody"])
        for name, media in body["content"].items():
            yield "request", name, media
    for status, response in operation["responses"].items():
        for name, media in resolve(document, response).get("content", {}).items():
            yield status, name, media


def examples(document, holder):
    """The values of `example` and `examples` of a media type, parameter or header."""
    if "example" in holder:
        yield holder["example"]
    for example in holder.get("examples", {}).values():
        yield resolve(document, example)["value"]


def check(document, schema, value):
    """A list of what is wrong with the value; references lead into the document."""
    resolver = jsonschema.RefResolver("", document)
    validator = jsonschema.Draft202012Validator(
        schema, resolver=resolver, format_checker=jsonschema.draft202012_format_checker)
    return [f"{'/'.join(map(str, error.path)) or 'the whole'}: {error.message}"
            for error in validator.iter_errors(value)]


def find_operation(document, method, path):
    """(template, operation) that a request was answered by, or None. Literal paths go first."""
    found = []
    for candidate, template, operation in operations(document):
        pattern = re.sub(r"\\\{[^}]*\\\}", "[^/]+", re.escape(template))
        if candidate == method and re.fullmatch(pattern, path):
            found.append((template.count("{"), template, operation))
    return min(found, key=lambda one: one[0])[1:] if found else None


def check_answer(document, method, path, status, media_type, content):
    """What the document does not say about an answer, as a list of texts."""
    found = find_operation(document, method, path)
    if found is None:
        return []
    template, operation = found
    where = f"{method} {template} {status}"
    responses = operation["responses"]
    response = responses.get(str(status)) or responses.get(f"{status // 100}XX") or responses.get(
        "default")
    if response is None:
        return [f"{where}: the status is not documented"]
    described = resolve(document, response).get("content", {})
    if not content:
        return []
    if media_type not in described:
        return [f"{where}: {media_type} is not documented, only {sorted(described)}"]
    schema = described[media_type].get("schema")
    if schema is None or "json" not in media_type:
        return []
    return [f"{where}: {problem}" for problem in check(document, schema, json.loads(content))]
