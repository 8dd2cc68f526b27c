"""The OpenAPI documents and the services hold together, both ways, and /docs needs nobody else."""

import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import jsonschema
import pytest

from support import tokens
from support.api import NOBODY, PROBLEM, http_client
from support.openapi import check, examples, media_types, operations, resolve
from support.service import run_to_end
from support.settings import scaled

SERVICES = ("auth_api", "wallet_api")


@pytest.fixture(scope="module", params=SERVICES)
def service(request, auth_service, wallet_service):
    return {"auth_api": auth_service, "wallet_api": wallet_service}[request.param]


@pytest.fixture(scope="module")
def client(service):
    with http_client(service) as client:
        yield client


@pytest.fixture(scope="module")
def document(client):
    response = client.get("/openapi.json")
    assert response.status_code == 200, f"expected the document, got {response.status_code}"
    assert response.headers["content-type"].split(";")[0] == "application/json"
    return response.json()


@pytest.fixture(scope="module")
def routes(service):
    """{(METHOD, pattern): access} of `--print-routes`."""
    run = run_to_end(service.name, service.environment, "--print-routes")
    assert run.returncode == 0, f"expected --print-routes to work: {run.stderr}"
    lines = [line.split() for line in run.stdout.splitlines()]
    assert lines and all(len(line) == 3 for line in lines), f"expected three words: {lines}"
    return {(method, pattern): access for method, pattern, access in lines}


# ---- documents and routes ----

def test_every_route_is_documented(document, routes):
    documented = {(method, path) for method, path, _ in operations(document)}
    missing = {route for route in routes if route not in documented and not is_asset(route)}
    assert not missing, f"expected every route to be documented, missing: {sorted(missing)}"


def is_asset(route):
    """The files of Swagger UI are part of /docs."""
    return route[1].startswith("/docs/")


def test_every_documented_operation_has_a_route(document, routes):
    documented = {(method, path) for method, path, _ in operations(document)}
    missing = documented - set(routes)
    assert not missing, f"expected a route for every documented operation: {sorted(missing)}"


def test_documented_security_is_the_routes_access(document, routes):
    for method, path, operation in operations(document):
        security = operation.get("security", document.get("security", []))
        access = routes[method, path]
        assert bool(security) == (access != "public"), (
            f"{method} {path} is {access}, its documented security is {security}")


def test_path_parameters_are_those_of_the_path(document):
    for method, path, operation in operations(document):
        named = {parameter["name"] for parameter in
                 (resolve(document, one) for one in operation["parameters"])
                 if parameter["in"] == "path"}
        assert named == set(re.findall(r"\{([^}]+)\}", path)), f"parameters of {method} {path}"


def test_no_documented_operation_answers_404_or_405_for_want_of_a_route(document, client, secret):
    """Called with its example, or with nothing; with and without a token."""
    token = tokens.access_token(NOBODY, secret)
    for method, path, operation in operations(document):
        target = re.sub(r"\{[^}]+\}", NOBODY, path)
        body = None
        for where, media_type, media in media_types(document, operation):
            if where == "request" and media_type == "application/json":
                body = next(examples(document, media), {})
        for headers in ({}, {"Authorization": f"Bearer {token}"}):
            response = client.request(method, target, json=body, headers=headers)
            assert response.status_code not in (405, 500, 501), (
                f"{method} {path} answers {response.status_code}")
            if response.status_code == 404:
                assert response.json()["type"] != "urn:pacioli:problem:not_found", (
                    f"{method} {path} has no route")
            if not headers and operation.get("security", document.get("security")):
                assert response.status_code == 401, f"{method} {path} without a token"


# ---- the documents themselves ----

def test_document_is_openapi_3_1(document):
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    for member in ("title", "version"):
        assert document["info"][member]


def test_every_reference_leads_somewhere(document):
    def walk(node):
        if isinstance(node, dict):
            resolve(document, node)
            node = list(node.values())
        if isinstance(node, list):
            for child in node:
                walk(child)
    walk(document)


def test_every_schema_is_json_schema_2020_12(document):
    schemas = list(document.get("components", {}).get("schemas", {}).items())
    for method, path, operation in operations(document):
        schemas += [(f"{method} {path} {where}", media["schema"])
                    for where, _, media in media_types(document, operation) if "schema" in media]
        schemas += [(f"{method} {path} {one['name']}", one["schema"])
                    for one in (resolve(document, one) for one in operation["parameters"])]
    assert schemas
    for name, schema in schemas:
        try:
            jsonschema.Draft202012Validator.check_schema(schema)
        except jsonschema.SchemaError as error:
            raise AssertionError(f"schema of {name}: {error.message}") from None


def test_every_operation_says_what_it_is_and_has_an_id_of_its_own(document):
    ids = []
    for method, path, operation in operations(document):
        assert operation.get("summary"), f"expected a summary of {method} {path}"
        assert operation.get("operationId"), f"expected an operationId of {method} {path}"
        ids.append(operation["operationId"])
    assert len(set(ids)) == len(ids), f"expected each operationId once: {sorted(ids)}"


def test_every_json_body_has_a_schema_and_an_example(document):
    for method, path, operation in operations(document):
        for where, media_type, media in media_types(document, operation):
            if media_type in ("application/json", PROBLEM) and path != "/openapi.json":
                name = f"{method} {path} {where}"
                assert "schema" in media, f"expected a schema of {name}"
                assert list(examples(document, media)), f"expected an example of {name}"


def test_every_example_is_valid(document):
    count = 0
    for method, path, operation in operations(document):
        for where, _, media in media_types(document, operation):
            for value in examples(document, media):
                count += 1
                wrong = check(document, media.get("schema", {}), value)
                assert not wrong, f"example of {method} {path} {where}: {wrong}"
        for parameter in (resolve(document, one) for one in operation["parameters"]):
            for value in examples(document, parameter):
                count += 1
                wrong = check(document, parameter["schema"], value)
                assert not wrong, f"example of {method} {path} {parameter['name']}: {wrong}"
    for name, schema in document.get("components", {}).get("schemas", {}).items():
        for value in schema.get("examples", []):
            wrong = check(document, schema, value)
            assert not wrong, f"example of schema {name}: {wrong}"
    assert count > 10, f"expected examples, found {count}"


def test_every_error_is_documented_as_a_problem(document):
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            if status[0] in "45" and path not in ("/healthz", "/readyz"):
                content = resolve(document, response).get("content", {})
                assert list(content) == [PROBLEM], f"{method} {path} {status}: {list(content)}"


def test_errors_that_every_call_may_have_are_documented(document):
    for method, path, operation in operations(document):
        if path in ("/healthz", "/readyz", "/metrics", "/docs", "/openapi.json"):
            continue
        needed = {"503"}
        if operation.get("security", document.get("security", [])):
            needed |= {"401"}
        if "requestBody" in operation:
            needed |= {"400", "413", "415", "422"}
        missing = needed - set(operation["responses"])
        assert not missing, f"expected {method} {path} to document {sorted(missing)}"


def test_errors_of_the_contract_are_documented(document, service):
    expected = {
        "auth_api": {("POST", "/users/"): "200 400 422", ("POST", "/auth/login"): "200 401 422"},
        "wallet_api": {
            ("GET", "/wallet/accounts"): "200 401", ("POST", "/wallet/accounts"): "201 401",
            ("POST", "/wallet/deposit"): "200 404 409 422",
            ("POST", "/wallet/withdraw"): "200 400 404 409 422",
            ("POST", "/wallet/transfer"): "200 400 403 404 409 422",
            ("GET", "/wallet/accounts/{id}/transactions"): "200 403 422"},
    }[service.name]
    found = {(method, path): operation for method, path, operation in operations(document)}
    for (method, path), statuses in expected.items():
        missing = set(statuses.split()) - set(found[method, path]["responses"])
        assert not missing, f"expected {method} {path} to document {sorted(missing)}"


# ---- /docs ----

class Links(HTMLParser):
    """What a page loads."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href", "data", "action", "srcset") and value:
                self.found.append((tag, value))


@pytest.fixture(scope="module")
def docs(client):
    response = client.get("/docs", follow_redirects=True)
    assert response.status_code == 200, f"expected /docs, got {response.status_code}"
    assert response.headers["content-type"].split(";")[0] == "text/html"
    return response


def test_docs_is_a_swagger_ui_of_the_services_own_document(client, docs):
    text = docs.text
    for _, link in Links(text).found:
        if link.split("?")[0].endswith(".js"):
            text += client.get(str(docs.url.join(link))).text[:20000]
    assert "swagger-ui" in text
    assert "openapi.json" in text, "expected the page to name the service's own document"
    assert "petstore" not in docs.text


def test_docs_loads_nothing_from_another_host(docs, client):
    links = Links(docs.text).found
    assert links, "expected the page to load scripts and styles"
    for tag, link in links:
        assert not re.match(r"(?i)[a-z][a-z0-9+.-]*:|//", link), f"<{tag}> leads elsewhere: {link}"
        response = client.get(str(docs.url.join(link)))
        assert response.status_code == 200, f"{link} answers {response.status_code}"
        suffix = link.split("?")[0].rpartition(".")[2]
        kinds = {"js": "javascript", "css": "text/css", "png": "image/png"}
        if suffix in kinds:
            assert kinds[suffix] in response.headers["content-type"], f"type of {link}"


def test_docs_forbids_the_browser_to_load_from_elsewhere(docs):
    policy = docs.headers.get("content-security-policy", "")
    directives = {words[0]: words[1:] for words in
                  (part.split() for part in policy.split(";")) if words}
    assert directives.get("default-src") in (["'none'"], ["'self'"]), f"policy: {policy!r}"
    for name, sources in directives.items():
        for source in sources:
            assert source.startswith("'") or source in ("data:", "blob:"), f"{name} {source}"


@pytest.mark.parametrize("path", ["/docs/../openapi.json", "/docs/..%2f..%2fetc%2fpasswd",
                                  "/docs/%2e%2e/%2e%2e/etc/passwd", "/docs/.env", "/docs/nothing"])
def test_docs_serves_no_other_file(service, path):
    assert service.probe(path) in (400, 404), f"expected {path} not to be served"


@pytest.mark.skipif(not shutil.which("chromium"), reason="Debian's chromium is not installed")
@pytest.mark.skipif(os.environ.get("TEST_BROWSER", "1") == "0", reason="TEST_BROWSER=0")
def test_docs_shows_every_operation_in_a_browser(service, document, tmp_path):
    """With no other host in reach."""
    page = subprocess.run(
        ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000",
         "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--dump-dom",
         f"{service.url}/docs"],
        capture_output=True, text=True, timeout=scaled(60))
    shown = re.sub("\u200b|<wbr>|<[^>]*>", "", page.stdout)
    for _, path, operation in operations(document):
        assert path in shown, (
            f"expected {path} on the page: {page.stdout[:2000]} {page.stderr[-500:]}")
