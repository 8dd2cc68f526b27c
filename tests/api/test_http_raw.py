"""reliability.md 7.2 over raw sockets: the column "required", for every input named there.

A case is the bytes that are sent and what may come back. Whatever comes back, one payload must
never be taken for two requests, an answer of the service is problem+json, and after a fault of
framing the connection ends.
"""

import re
import uuid

import pytest

from support import raw, tokens
from support.api import PROBLEM, new_key, new_name
from support.raw import exchange, request

HIDDEN = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-Id: smuggled\r\n\r\n"


@pytest.fixture(scope="module")
def port(wallet_service):
    return wallet_service.port


@pytest.fixture(scope="module")
def bearer(secret):
    return f"Authorization: Bearer {tokens.access_token(uuid.uuid4(), secret)}"


def check(result, allowed, closed=True, silent=False):
    """One answer at most, of an allowed status, as a problem, and the end of the connection."""
    assert len(result.answers) <= 1, f"expected one request to come out of it: {result}"
    assert not result.rest, f"expected no half answer: {result}"
    if not result.answers:
        assert silent and result.closed, f"expected one of {allowed}: {result}"
        return
    answer = result.answers[0]
    assert answer.status in allowed, f"expected one of {allowed}: {result} {answer.body[:200]!r}"
    assert answer.header("x-request-id") != "smuggled", f"the hidden request was run: {result}"
    if closed:
        assert result.closed, f"expected the connection to be closed: {result}"
    check_problem(answer)


def check_problem(answer):
    """Those that libh2o itself refuses, before a handler could answer, have no such body."""
    if answer.status >= 400 and answer.header("content-type") == PROBLEM:
        body = answer.json()
        assert body["status"] == answer.status
        assert body["detail"]


def is_problem(answer):
    return (answer.header("content-type") or "").split(";")[0] == PROBLEM


# ---- framing: where does a request end? ----

def post(lines, body=b"", target="/wallet/deposit"):
    """A POST whose framing headers are `lines`, taken as they are."""
    return request("POST", target, ["Content-Type: application/json", *lines]) + body


SMUGGLING = {
    "length_0_and_length_n": post(["Content-Length: 0", f"Content-Length: {len(HIDDEN)}"], HIDDEN),
    "length_n_and_length_0": post([f"Content-Length: {len(HIDDEN)}", "Content-Length: 0"], HIDDEN),
    "two_equal_lengths": post(["Content-Length: 2", "Content-Length: 2"], b"{}"),
    "length_list": post(["Content-Length: 2, 2"], b"{}" + HIDDEN),
    "length_5,5": post(["Content-Length: 5,5"], b"{   }"),
    "length_plus": post(["Content-Length: +5"], b"{   }"),
    "length_minus": post(["Content-Length: -48"], b"{}"),
    "length_letters": post(["Content-Length: 5Z"], b"{   }"),
    "length_hex": post(["Content-Length: 0x5"], b"{   }"),
    "length_empty": post(["Content-Length:"], b"{}" + HIDDEN),
    "length_overflow": post(["Content-Length: 18446744073709551618"], b"{}" + HIDDEN),
    "length_overflow_64": post(["Content-Length: 9223372036854775808"], b"{}"),
    "length_underscore": post(["Content-Length: 1_0"], b"{        }"),
    "length_space_inside": post(["Content-Length: 1 0"], b"{        }"),
    "length_and_chunked": post([f"Content-Length: {len(HIDDEN)}", "Transfer-Encoding: chunked"],
                               b"0\r\n\r\n" + HIDDEN),
    "chunked_and_length": post(["Transfer-Encoding: chunked", f"Content-Length: {len(HIDDEN) + 5}"],
                               b"0\r\n\r\n" + HIDDEN),
    "chunk_size_0_2e": post(["Transfer-Encoding: chunked"],
                            b"0_2e\r\n" + HIDDEN + b"\r\n0\r\n\r\n"),
    "chunk_size_0x5": post(["Transfer-Encoding: chunked"], b"0x5\r\n{   }\r\n0\r\n\r\n" + HIDDEN),
    "chunk_size_plus": post(["Transfer-Encoding: chunked"], b"+5\r\n{   }\r\n0\r\n\r\n" + HIDDEN),
    "chunk_size_overflow": post(["Transfer-Encoding: chunked"],
                                b"10000000000000002\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "chunk_size_empty": post(["Transfer-Encoding: chunked"], b"\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "chunks": post(["Transfer-Encoding: chunked"], b"2\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "chunks_with_extension": post(["Transfer-Encoding: chunked"],
                                  b"2;a=b\r\n{}\r\n0\r\n\r\n" + HIDDEN),
    "chunks_with_trailer": post(["Transfer-Encoding: chunked"],
                                b"2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n" + HIDDEN),
    "chunks_lf_only": post(["Transfer-Encoding: chunked"], b"2\n{}\n0\n\n" + HIDDEN),
    "coding_twice": post(["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
                         b"0\r\n\r\n" + HIDDEN),
    "coding_identity": post(["Transfer-Encoding: identity"], b"{}" + HIDDEN),
    "coding_gzip_chunked": post(["Transfer-Encoding: gzip, chunked"], b"0\r\n\r\n" + HIDDEN),
    "coding_comma_chunked": post(["Transfer-Encoding: ,chunked"], b"0\r\n\r\n" + HIDDEN),
    "coding_xchunked": post(["Transfer-Encoding: xchunked"], b"0\r\n\r\n" + HIDDEN),
    "coding_chunked_space": post(["Transfer-Encoding : chunked"], b"0\r\n\r\n" + HIDDEN),
    "coding_vertical_tab": post(["Transfer-Encoding:\x0bchunked"], b"0\r\n\r\n" + HIDDEN),
    "coding_upper_case": post(["TRANSFER-ENCODING: CHUNKED"], b"0\r\n\r\n" + HIDDEN),
    "length_folded": post(["Content-Length:", " 2"], b"{}" + HIDDEN),
    "length_space_before_colon": post(["Content-Length : 2"], b"{}" + HIDDEN),
    "length_then_null": post(["Content-Length: 2\0"], b"{}" + HIDDEN),
    "length_bare_cr": post(["Content-Length: 2\rX: y"], b"{}" + HIDDEN),
    "length_hidden_by_lf": post(["X: y\nContent-Length: 2"], b"{}" + HIDDEN),
    "get_with_length_0_and_n": request("GET", "/healthz", [
        "Content-Length: 0", f"Content-Length: {len(HIDDEN)}"]) + HIDDEN,
    "get_with_chunks": request("GET", "/healthz", ["Transfer-Encoding: chunked"])
                       + b"0\r\n\r\n" + HIDDEN,
    "connection_names_length": post(["Connection: Content-Length", "Content-Length: 2"], b"{}"),
}
# These are well-formed: the request is answered as any other without a token.
WELL_FORMED = {"connection_names_length": (401,)}
TOO_LARGE = {"length_overflow_64": (400, 413)}


@pytest.mark.parametrize("name", SMUGGLING)
def test_two_requests_never_come_out_of_one(port, name):
    allowed = {**WELL_FORMED, **TOO_LARGE}.get(name, (400, 411))
    check(exchange(port, SMUGGLING[name]), allowed, closed=name not in WELL_FORMED)


@pytest.mark.parametrize("name", ["length_0_and_length_n", "two_equal_lengths", "coding_twice",
                                  "length_and_chunked", "chunks", "length_hidden_by_lf"])
def test_faults_of_framing_are_answered_with_a_problem(port, name):
    answer, = exchange(port, SMUGGLING[name]).answers
    assert is_problem(answer), f"expected problem+json, got {answer.headers}"


def test_chunk_that_never_ends_gets_nothing_done(port):
    """`5\\r\\r;ABCD` is waited for, and then the connection ends: see the limits of time."""
    payload = post(["Transfer-Encoding: chunked"], b"5\r\r;ABCD" + HIDDEN)
    check(exchange(port, payload, wait_s=15), (400, 411, 408), silent=True)


def test_length_with_a_leading_zero_is_one_request(port, bearer):
    result = exchange(port, post(["Content-Length: 02", bearer], b"{}" + HIDDEN))
    assert result.statuses in ([422, 200], [400]), f"expected 2 bytes of body: {result}"


# ---- the head ----

BAD_HEADS = {
    "obs_fold": request("GET", "/healthz", ["X-A: b", " c"]),
    "obs_fold_tab": request("GET", "/healthz", ["X-A: b", "\tc"]),
    "obs_fold_first": b"GET /healthz HTTP/1.1\r\n Host: localhost\r\n\r\n",
    "no_host": request("GET", "/healthz", host=None),
    "two_hosts": request("GET", "/healthz", ["Host: other"]),
    "two_equal_hosts": request("GET", "/healthz", ["Host: localhost"]),
    "empty_host": request("GET", "/healthz", host=""),
    "host_with_space": request("GET", "/healthz", host="a b"),
    "host_with_slash": request("GET", "/healthz", host="a/b"),
    "bare_lf": b"GET /healthz HTTP/1.1\nHost: localhost\n\n",
    "bare_lf_in_headers": b"GET /healthz HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n",
    "bare_lf_at_the_end": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\n",
    "bare_cr_in_value": request("GET", "/healthz", ["X-A: b\rX-C: d"]),
    "nul_in_value": request("GET", "/healthz", ["X-A: b\0c"]),
    "nul_in_path": request("GET", "/a\0b"),
    "space_before_colon": request("GET", "/healthz", ["X-A : b"]),
    "no_colon": request("GET", "/healthz", ["X-A"]),
    "empty_name": request("GET", "/healthz", [": b"]),
    "name_with_space": request("GET", "/healthz", ["X A: b"]),
    "name_with_umlaut": request("GET", "/healthz", ["Xä: b".encode("latin-1")]),
    "version_1.32": request("GET", "/healthz", version="HTTP/1.32"),
    "version_2.0": request("GET", "/healthz", version="HTTP/2.0"),
    "version_lower_case": request("GET", "/healthz", version="http/1.1"),
    "no_version": b"GET /healthz\r\nHost: localhost\r\n\r\n",
    "two_spaces": b"GET  /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "space_in_path": request("GET", "/heal thz"),
    "space_first": b" GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "tls_hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x01" * 40 + b"\r\n\r\n",
    "binary": bytes(range(128, 256)) + b"\r\n\r\n",
    "101_headers": request("GET", "/healthz", [f"X-{n}: y" for n in range(101)]),
}
TOO_MANY = {"101_headers"}


@pytest.mark.parametrize("name", BAD_HEADS)
def test_malformed_head_is_400_and_the_end(port, name):
    allowed = (400, 431) if name in TOO_MANY else (400,)
    check(exchange(port, BAD_HEADS[name] + HIDDEN), allowed, silent=False)


@pytest.mark.parametrize("name", ["obs_fold", "no_host", "two_hosts", "bare_lf"])
def test_malformed_head_is_answered_with_a_problem(port, name):
    answer, = exchange(port, BAD_HEADS[name]).answers
    assert is_problem(answer), f"expected problem+json, got {answer.headers}"


TARGETS = {
    "absolute_uri": ("GET", "http://localhost/healthz", (400, 404)),
    "authority": ("CONNECT", "localhost:80", (400, 404, 405)),
    "asterisk": ("OPTIONS", "*", (400, 404, 405)),
    "no_slash": ("GET", "healthz", (400,)),
    "dot_dot": ("GET", "/wallet/../healthz", (404,)),
    "dot_dot_encoded": ("GET", "/wallet/%2e%2e/healthz", (404,)),
    "slash_encoded": ("GET", "/x0%2f..%2fhealthz", (404,)),
    "two_slashes": ("GET", "//healthz", (404,)),
    "slash_last": ("GET", "/healthz/", (404,)),
    "upper_case": ("GET", "/HEALTHZ", (404,)),
    "nul_encoded": ("GET", "/healthz%00", (400, 404)),
    "bad_escape": ("GET", "/healthz%zz", (400, 404)),
    "fragment": ("GET", "/healthz#x", (400,)),
    "method_trace": ("TRACE", "/healthz", (405,)),
    "method_odd": ('G=":<>', "/healthz", (400, 405)),
    "method_unknown": ("BREW", "/healthz", (405,)),
    "method_lower_case": ("get", "/healthz", (405,)),
    "path_of_8_kB": ("GET", "/" + "a" * 8192, (404,)),
}


@pytest.mark.parametrize("name", TARGETS)
def test_odd_target_or_method(port, name):
    method, target, allowed = TARGETS[name]
    check(exchange(port, request(method, target)), allowed, closed=False)


@pytest.mark.parametrize(("name", "lines"), [
    ("100_headers", [f"X-{n}: y" for n in range(99)]), ("empty_value", ["X-A:"]),
    ("tab_in_value", ["X-A: b\tc"]), ("latin_1_value", ["X-A: ü".encode("latin-1")]),
    ("15_kB", ["X-A: " + "a" * 15000])])
def test_unusual_but_right_head_is_served(port, name, lines):
    result = exchange(port, request("GET", "/healthz", lines))
    assert result.statuses == [200], f"expected {name} to be served: {result}"


@pytest.mark.parametrize("size", [17_000, 64 * 1024, 500_000])
def test_head_over_16_kib_is_431(port, size):
    payload = request("GET", "/healthz", ["X-A: " + "a" * size])
    allowed = (431,) if size < 400_000 else (400, 431)
    check(exchange(port, payload), allowed)


def test_path_over_16_kib_is_431_or_414(port):
    check(exchange(port, request("GET", "/" + "a" * 20_000)), (414, 431))


# ---- credentials and other headers that count once ----

@pytest.mark.parametrize("line", ["Authorization: Bearer ", "Authorization: Bearer  ",
                                  "Authorization:\tBearer\tx.y.z"])
def test_authorization_without_a_token_is_400_or_401(port, line):
    result = exchange(port, request("GET", "/wallet/accounts", [line]))
    check(result, (400, 401), closed=False)
    assert result.answers[0].header("www-authenticate").startswith("Bearer")


@pytest.mark.parametrize("line", ["Authorization: Bearer x.y.z", "Authorization: Basic eDp5"])
def test_two_authorization_headers_are_400(port, bearer, line):
    for lines in ([bearer, line], [line, bearer], [bearer, bearer]):
        result = exchange(port, request("GET", "/wallet/accounts", lines))
        check(result, (400,), closed=False)
        assert is_problem(result.answers[0])


def test_two_idempotency_key_headers_are_400(port, bearer):
    lines = [bearer, "Content-Type: application/json", f"Idempotency-Key: {new_key()}",
             f"Idempotency-Key: {new_key()}"]
    result = exchange(port, request("POST", "/wallet/deposit", lines, b"{}"))
    check(result, (400,), closed=False)
    assert is_problem(result.answers[0])


def test_two_content_types_are_400_or_415(port, bearer):
    lines = [bearer, "Content-Type: application/json", "Content-Type: text/plain"]
    result = exchange(port, request("POST", "/wallet/deposit", lines, b"{}"))
    check(result, (400, 415), closed=False)


@pytest.mark.parametrize("value", [
    b"", b"a" * 129, b"a b", b'"quoted"', b"a,b", b"\xff\xfe", b"<script>", b"a\tb", b"{}", b"a;b",
    b"%0d%0aSet-Cookie:x"])
def test_request_id_of_the_client_is_not_reflected_unless_harmless(port, value):
    result = exchange(port, request("GET", "/healthz", [b"X-Request-Id: " + value]))
    answer, = result.answers
    shown = answer.header("x-request-id")
    assert re.fullmatch(r"[A-Za-z0-9._-]{1,64}", shown), f"expected an id of our own: {shown!r}"
    assert shown.encode() != value


@pytest.mark.parametrize("value", [b"a\rSet-Cookie: x=y", b"a\nSet-Cookie: x=y",
                                   b"a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"])
def test_header_injection_by_request_id(port, value):
    result = exchange(port, request("GET", "/healthz", [b"X-Request-Id: " + value]))
    for answer in result.answers:
        assert answer.header("set-cookie") is None, f"a header was injected: {answer.headers}"
    assert set(result.statuses) <= {200, 400}, str(result)


# ---- bodies ----

@pytest.mark.parametrize("size", [64 * 1024 + 1, 1_000_000])
def test_body_over_the_limit_is_413(port, bearer, size):
    """What is far too much is not read, so the connection ends; a little too much may be read."""
    body = b"{" + b" " * (size - 2) + b"}"
    lines = [bearer, "Content-Type: application/json"]
    result = exchange(port, request("POST", "/wallet/deposit", lines, body))
    check(result, (413,), closed=size > 600_000)


def test_body_of_the_limit_is_taken(port, bearer):
    body = b"{" + b" " * (64 * 1024 - 2) + b"}"
    lines = [bearer, "Content-Type: application/json"]
    check(exchange(port, request("POST", "/wallet/deposit", lines, body)), (422,), closed=False)


def test_body_over_the_limit_is_refused_before_it_comes(port, bearer):
    lines = [bearer, "Content-Type: application/json", "Content-Length: 1000000"]
    check(exchange(port, request("POST", "/wallet/deposit", lines)), (413,))


def test_body_of_1_gb_announced_is_413(port, bearer):
    lines = [bearer, "Content-Type: application/json", "Content-Length: 1073741824"]
    check(exchange(port, request("POST", "/wallet/deposit", lines)), (413,))


@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_body_nested_100000_deep_is_refused_quickly(port, bearer, opening, closing):
    depth = 100_000
    body = opening * depth + b"1" + closing * depth
    lines = [bearer, "Content-Type: application/json"]
    result = exchange(port, request("POST", "/wallet/deposit", lines, body))
    check(result, (400, 413, 422), closed=False)


@pytest.mark.parametrize("depth", [17, 1000, 30_000])
def test_body_nested_deeper_than_16_within_the_limit_of_size_is_refused(port, bearer, depth):
    body = b"[" * depth + b"]" * depth
    lines = [bearer, "Content-Type: application/json"]
    result = exchange(port, request("POST", "/wallet/deposit", lines, body))
    check(result, (400, 422), closed=False)
    assert is_problem(result.answers[0])


# In place of %s a new name: right in every other respect, so only the one fault can be the reason.
STRICT_JSON = {
    "duplicate_key": b'{"username":"%s","password":"12345678","password":"12345679"}',
    "duplicate_key_escaped": b'{"username":"%s","password":"12345678","p\\u0061ssword":"12345678"}',
    "duplicate_key_in_depth": b'{"username":"%s","password":"raw json 9","x":[{"a":1,"a":2}]}',
    "duplicate_key_among_many": b'{"username":"%s","password":"raw json 9",'
                                + b",".join(b'"x%d":0' % (n % 49) for n in range(50)) + b"}",
    "nul": b'{"username":"%s","password":"1234\\u00005678"}',
    "nul_in_a_key": b'{"username":"%s","password":"12345678","x\\u0000":1}',
    "raw_nul": b'{"username":"%s","password":"1234\x005678"}',
    "invalid_utf8": b'{"username":"%s","password":"12345678\xff"}',
    "cut_utf8": b'{"username":"%s","password":"12345678\xd0"}',
    "overlong_utf8": b'{"username":"%s","password":"12345678\xc0\xaf"}',
    "surrogate_utf8": b'{"username":"%s","password":"12345678\xed\xa0\x80"}',
    "beyond_unicode": b'{"username":"%s","password":"12345678\xf5\x80\x80\x80"}',
    "lone_surrogate": b'{"username":"%s","password":"12345678\\ud800"}',
    "lone_surrogate_and_letter": b'{"username":"%s","password":"12345678\\ud800\\u0041"}',
    "lone_low_surrogate": b'{"username":"%s","password":"12345678\\udc00"}',
    "reversed_surrogates": b'{"username":"%s","password":"12345678\\udc00\\ud800"}',
    "raw_newline": b'{"username":"%s","password":"1234\n5678"}',
    "form_feed": b'{\x0c"username":"%s","password":"12345678"}',
    "no_break_space": b'{\xc2\xa0"username":"%s","password":"12345678"}',
    "trailing": b'{"username":"%s","password":"12345678"}x',
    "trailing_document": b'{"username":"%s","password":"12345678"}{}',
    "trailing_nul": b'{"username":"%s","password":"12345678"}\x00',
    "cut": b'{"username":"%s","password":"12345678"',
    "bom": b'\xef\xbb\xbf{"username":"%s","password":"12345678"}',
    "comment": b'{/* x */"username":"%s","password":"12345678"}',
    "single_quotes": b"{'username':'%s','password':'12345678'}",
    "trailing_comma": b'{"username":"%s","password":"12345678",}',
    "unknown_escape": b'{"username":"%s","password":"12345678\\x41"}',
    "bare_word": b'{"username":"%s","password":"raw json 9","x":NaN}',
    "leading_zero": b'{"username":"%s","password":"raw json 9","x":01}',
    "plus": b'{"username":"%s","password":"raw json 9","x":+1}',
    "in_an_array": b'[{"username":"%s","password":"12345678"}]',
}
RIGHT_JSON = {
    "pair_of_surrogates": b'{"username":"%s","password":"12345678\\ud83d\\udd11"}',
    "utf8": b'{"username":"%s","password":"12345678\xf0\x9f\x94\x91"}',
    "escapes": b'{"username":"%s","p\\u0061ssword":"\\"\\\\\\/\\b\\f\\n\\r\\t"}',
    "white_space": b' \r\n\t{ "username" : "%s" ,\n"password":\t"raw json 9" } \r\n',
    "many_keys": b'{"username":"%s","password":"raw json 9",'
                 + b",".join(b'"x%d":0' % n for n in range(50)) + b"}",
    "depth_16": b'{"username":"%s","password":"raw json 9","x":' + b"[" * 15 + b"]" * 15 + b"}",
}
STRICT_JSON["depth_17"] = RIGHT_JSON["depth_16"].replace(b"[]", b"[[]]")
STRICT_JSON["depth_1000"] = RIGHT_JSON["depth_16"].replace(b"[]", b"[" * 985 + b"]" * 985)


def register(auth_service, body):
    name = new_name().encode()
    lines = ["Content-Type: application/json"]
    return exchange(auth_service.port, request("POST", "/users/", lines, body.replace(b"%s", name)))


@pytest.mark.parametrize("name", STRICT_JSON)
def test_json_that_is_not_strict_is_refused_with_a_problem(auth_service, name):
    result = register(auth_service, STRICT_JSON[name])
    check(result, (400, 422), closed=False)
    assert is_problem(result.answers[0])


@pytest.mark.parametrize("name", RIGHT_JSON)
def test_json_that_is_right_is_taken(auth_service, name):
    check(register(auth_service, RIGHT_JSON[name]), (200,), closed=False)


@pytest.mark.parametrize("amount", [b"01", b"-01", b"1.", b".5", b"+1", b"0x10", b"NaN",
                                    b"Infinity", b"1,5", b"1 0", b"1e", b"--1"])
def test_number_that_is_not_json_is_refused(port, user, amount):
    account = user.account()
    body = (b'{"account_id":"%s","amount":%s,"idempotency_key":"%s"}'
            % (account.encode(), amount, new_key().encode()))
    lines = [f"Authorization: Bearer {user.token}", "Content-Type: application/json"]
    check(exchange(port, request("POST", "/wallet/deposit", lines, body)), (400, 422), closed=False)
    assert user.balance(account) == "0.00"


@pytest.mark.parametrize("media_type", [
    None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
    "application/jsonx", "text/json", "application/json; charset=utf-16", "application",
    "application/json, text/plain"])
def test_body_of_another_media_type_is_415(port, bearer, media_type):
    lines = [bearer] + ([f"Content-Type: {media_type}"] if media_type else [])
    result = exchange(port, request("POST", "/wallet/deposit", lines, b"{}"))
    check(result, (415,), closed=False)
    assert is_problem(result.answers[0])


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON",
                                        "application/json; charset=utf-8",
                                        "application/json;charset=UTF-8"])
def test_json_in_utf_8_is_taken(port, bearer, media_type):
    lines = [bearer, f"Content-Type: {media_type}"]
    check(exchange(port, request("POST", "/wallet/deposit", lines, b"{}")), (422,), closed=False)


# ---- 404, 405 ----

@pytest.mark.parametrize("path", ["/", "/wallet", "/wallet/", "/wallet/deposit/", "/wallet/nothing",
                                  "/wallet/accounts/", "/metricsx", "/favicon.ico"])
def test_unknown_path_is_404_problem(port, bearer, path):
    result = exchange(port, request("GET", path, [bearer]))
    check(result, (404,), closed=False)
    assert is_problem(result.answers[0])


@pytest.mark.parametrize(("method", "path", "allow"), [
    ("GET", "/wallet/deposit", {"POST"}), ("PUT", "/wallet/deposit", {"POST"}),
    ("DELETE", "/wallet/accounts", {"GET", "POST"}), ("PATCH", "/wallet/accounts", {"GET", "POST"}),
    ("POST", "/healthz", {"GET"}), ("OPTIONS", "/wallet/transfer", {"POST"}),
    ("DELETE", "/metrics", {"GET"})])
def test_wrong_method_is_405_with_allow(port, bearer, method, path, allow):
    result = exchange(port, request(method, path, [bearer]))
    check(result, (405,), closed=False)
    answer, = result.answers
    assert is_problem(answer)
    named = {word.strip() for word in answer.header("allow").split(",")}
    assert named - {"HEAD"} == allow, f"expected Allow to name {allow}, got {named}"


# ---- HTTP/2 is off, pipelining works ----

def test_http2_upgrade_is_ignored(port):
    lines = ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
             "HTTP2-Settings: AAMAAABkAAQAAP__"]
    result = exchange(port, request("GET", "/healthz", lines))
    assert result.statuses == [200], f"expected HTTP/1.1 to go on: {result}"


def test_http2_preface_is_refused(port):
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    check(exchange(port, preface), (400,), silent=True)


def test_pipelined_requests_are_answered_in_order(port, bearer):
    requests = [request("GET", "/healthz", [f"X-Request-Id: turn-{n}"]) for n in range(20)]
    requests.insert(10, request("POST", "/wallet/deposit", [
        bearer, "Content-Type: application/json", "X-Request-Id: money"], b"{}"))
    result = exchange(port, b"".join(requests))
    expected = [f"turn-{n}" for n in range(20)]
    expected.insert(10, "money")
    assert [answer.header("x-request-id") for answer in result.answers] == expected, str(result)
    assert result.statuses.count(200) == 20


def test_request_in_single_bytes_is_served(port):
    payload = request("GET", "/healthz")
    result = exchange(port, None, pieces=[payload[n:n + 1] for n in range(len(payload))])
    assert result.statuses == [200], str(result)


def test_connection_serves_one_request_after_the_other(port):
    with raw.connect(port) as connection:
        for turn in range(3):
            connection.sendall(request("GET", "/healthz"))
            data = b""
            while (parsed := raw.parse_answer(data)) is None:
                chunk = connection.recv(65536)
                assert chunk, f"expected the connection to stay open, closed in turn {turn}"
                data += chunk
            assert parsed[0].status == 200 and parsed[1] == b""


def test_connection_close_is_obeyed(port):
    result = exchange(port, request("GET", "/healthz", ["Connection: close"]))
    assert result.statuses == [200] and result.closed, str(result)


def test_http_1_0_is_served_and_closed(port):
    result = exchange(port, request("GET", "/healthz", version="HTTP/1.0"))
    assert result.statuses == [200] and result.closed, str(result)


def test_head_has_no_body(port):
    with raw.connect(port) as connection:
        connection.sendall(request("HEAD", "/healthz", ["Connection: close"]))
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    assert b" 200 " in head.split(b"\r\n")[0] + b" "
    assert body == b"", "expected no body"


def test_expect_100_continue_is_answered(port, bearer):
    lines = [bearer, "Content-Type: application/json", "Expect: 100-continue"]
    result = exchange(port, request("POST", "/wallet/deposit", lines, b"{}"))
    assert result.statuses[-1] in (417, 422) and result.statuses[:-1] in ([], [100]), str(result)


# ---- what every answer has ----

@pytest.mark.parametrize(("method", "path"), [
    ("GET", "/healthz"), ("GET", "/nothing"), ("GET", "/wallet/accounts"), ("PUT", "/healthz"),
    ("GET", "/openapi.json")])
def test_every_answer_has_the_headers_that_protect(port, method, path):
    answer, = exchange(port, request(method, path)).answers
    assert answer.header("x-content-type-options") == "nosniff"
    assert answer.header("x-request-id")
    assert "h2o" not in (answer.header("server") or ""), "expected no version to be told"
    assert answer.header("content-type")


def test_answers_of_the_wallet_are_not_stored(port, bearer):
    for lines in ([bearer], []):
        answer, = exchange(port, request("GET", "/wallet/accounts", lines)).answers
        assert answer.header("cache-control") == "no-store"
