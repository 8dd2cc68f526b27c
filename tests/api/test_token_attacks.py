"""Forged and bent access tokens, at a wallet_api that trusts the published keys alone (JWT_ALGORITHM=ES256)
and at one that takes the shared secret as well: all of them are refused with 401, and the good ones are not."""

import base64
import json
import subprocess
import time

import pytest

from support import tokens
from support.api import User, assert_ok, assert_unauthorized
from support.service import Service
from support.tokens import base64url
from support.trust import Trust

ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551  # of P-256


@pytest.fixture(scope="module")
def trust(auth_settings, wallet_settings, folder):
    trust = Trust(auth_settings, wallet_settings, folder / "attacks").start()
    yield trust
    trust.stop()


@pytest.fixture(scope="module")
def both(trust, folder):
    """Takes tokens of the secret, too."""
    service = Service("wallet_api", {**trust.wallet_service.environment, "JWT_ALGORITHM": "HS256",
                                     "JWT_REQUIRED_CLAIMS": ""}, folder / "both").start()
    yield service
    service.stop()


def raw_of(der):
    """r and s of an ECDSA signature in DER."""
    at, numbers = 2, []
    for _ in range(2):
        length = der[at + 1]
        numbers.append(int.from_bytes(der[at + 2:at + 2 + length], "big"))
        at += 2 + length
    return numbers


class Forge:
    """Signs with the real key, so that nothing but what is bent is wrong."""

    def __init__(self, trust, secret):
        self.secret = secret
        self.kid = trust.keys.name("active")
        self.pem = trust.keys.folder / f"{self.kid}.pem"
        self.public = subprocess.run(["openssl", "pkey", "-in", self.pem, "-pubout"],
                                     capture_output=True, check=True).stdout
        login = trust.person().login()
        self.good = login.pair["access_token"]
        self.claims = tokens.claims_of(self.good)
        self.header = tokens.header_of(self.good)

    def der(self, signed):
        return subprocess.run(["openssl", "dgst", "-sha256", "-sign", self.pem],
                              input=signed.encode(), capture_output=True, check=True).stdout

    def pair(self, signed):
        return raw_of(self.der(signed))

    def segments(self, header=None, claims=None):
        parts = (self.header if header is None else header,
                 self.claims if claims is None else claims)
        return ".".join(base64url(part if isinstance(part, bytes) else json.dumps(part).encode())
                        for part in parts)

    def token(self, header=None, claims=None):
        signed = self.segments(header, claims)
        r, s = self.pair(signed)
        return f"{signed}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"

    def hmac(self, key, header):
        signed = self.segments({"typ": "JWT", **header})
        import hashlib
        import hmac
        return f"{signed}.{base64url(hmac.new(key, signed.encode(), hashlib.sha256).digest())}"


@pytest.fixture(scope="module")
def forge(trust, secret):
    return Forge(trust, secret)


def without(mapping, *names):
    return {name: value for name, value in mapping.items() if name not in names}


def bent_headers(forge):
    head = forge.header
    for value in ("none", "None", "nOnE", "NONE", "", "ES384", "ES512", "es256", "RS256", "PS256",
                  "EdDSA", "HS256", "HS512", "ES256 ", None, 256, ["ES256"], {"alg": "ES256"}):
        yield f"alg {value!r}", forge.token({**head, "alg": value})
    yield "no alg", forge.token(without(head, "alg"))
    for value in ("", "unknown", "../../etc/passwd", "' OR 1=1 --", "A" * 43, forge.kid[:-1],
                  forge.kid + "A", forge.kid.lower(), forge.kid + "\u0000", "x" * 1000, None, 7,
                  [forge.kid], {"kid": forge.kid}):
        yield f"kid {str(value)[:30]!r}", forge.token({**head, "kid": value})
    yield "no kid", forge.token(without(head, "kid"))
    jwk = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}
    for name, value in (("jwk", jwk), ("jku", "https://evil.example/jwks"), ("x5u", "https://e"),
                        ("x5c", ["MII"]), ("x5t", "abc"), ("crit", ["exp"]), ("b64", False),
                        ("zip", "DEF"), ("cty", "JWT"), ("enc", "A128GCM"), ("x", 1)):
        yield f"header {name}", forge.token({**head, name: value})
    for value in ("at+jwt", "JWE", "", None, 1, ["JWT"]):
        yield f"typ {value!r}", forge.token({**head, "typ": value})
    yield "kid twice", forge.token(json.dumps(head)[:-1].encode() + b', "kid": "%s"}'
                                   % forge.kid.encode())
    yield "alg twice", forge.token(b'{"alg": "none", ' + json.dumps(head)[1:].encode())
    yield "header an array", forge.token([head])
    yield "header no JSON", forge.token(b"{alg: ES256}")


def bent_claims(forge):
    claims, now = forge.claims, int(time.time())
    for name in ("sub", "exp", "iat", "jti", "sid", "roles", "iss", "aud"):
        yield f"no {name}", forge.token(claims=without(claims, name))
    for value in (now - 1, now, 0, -1, str(now + 600), float(now + 600), True, None, [now + 600],
                  10 ** 15):
        yield f"exp {value!r}", forge.token(claims={**claims, "exp": value})
    yield "exp 1e99", forge.token(claims=json.dumps({**claims, "exp": 17}).replace(
        "17", "1e99", 1).encode())
    yield "nbf ahead", forge.token(claims={**claims, "nbf": now + 600})
    yield "nbf a text", forge.token(claims={**claims, "nbf": "0"})
    yield "iat ahead", forge.token(claims={**claims, "iat": now + 600})
    yield "iat a text", forge.token(claims={**claims, "iat": str(now)})
    for value in ("other", "", "wallet/", "Wallet", [], ["other"], ["wallet", 1], None, {"a": 1}):
        yield f"aud {value!r}", forge.token(claims={**claims, "aud": value})
    for value in ("https://auth.example/", "http://auth.example", "", None, ["https://auth.example"]):
        yield f"iss {value!r}", forge.token(claims={**claims, "iss": value})
    for value in ("", "me", claims["sub"].upper() + "x", claims["sub"][:-1], None, 1):
        yield f"sub {value!r}", forge.token(claims={**claims, "sub": value})
    for value in ("", "x", claims["sid"].replace("-", ""), None, 1):
        yield f"sid {value!r}", forge.token(claims={**claims, "sid": value})
    for value in ("user", None, 1, [1], {"user": True}):
        yield f"roles {value!r}", forge.token(claims={**claims, "roles": value})
    yield "jti a number", forge.token(claims={**claims, "jti": 1})
    yield "sub twice", forge.token(claims=json.dumps(claims)[:-1].encode() + b', "sub": "%s"}'
                                   % claims["sub"].encode())
    yield "claims an array", forge.token(claims=[claims])


def bent_signatures(forge):
    signed = forge.segments()
    r, s = forge.pair(signed)

    def with_numbers(r, s, size=32):
        return f"{signed}.{base64url(r.to_bytes(size, 'big') + s.to_bytes(size, 'big'))}"

    yield "r and s 0", with_numbers(0, 0)
    yield "r 0", with_numbers(0, s)
    yield "s 0", with_numbers(r, 0)
    yield "r and s the order", with_numbers(ORDER, ORDER)
    yield "all ones", with_numbers(2 ** 256 - 1, 2 ** 256 - 1)
    yield "r and s exchanged", with_numbers(s, r)
    yield "33 bytes each", with_numbers(r, s, 33)
    yield "DER", f"{signed}.{base64url(forge.der(signed))}"
    yield "of another token", f"{signed}.{forge.token(claims={**forge.claims, 'jti': 'x'}).split('.')[2]}"
    yield "empty", f"{signed}."
    yield "none at all", signed
    yield "a fourth segment", f"{forge.good}.{forge.good.split('.')[2]}"
    yield "two segments empty", ".." + forge.good.split(".")[2]
    for tail in ("=", "==", "A", "."):
        yield f"with {tail!r} behind it", forge.good + tail
    body = forge.good.split(".")
    yield "the other alphabet", ".".join([*body[:2], base64.b64encode(
        base64.urlsafe_b64decode(body[2] + "==")).decode().rstrip("=").replace("/", "+") + "+"])
    yield "white space inside", f"{body[0]}. {body[1]}.{body[2]}"
    last = body[2][-1]
    other = {"A": "B", "Q": "R", "g": "h", "w": "x"}[last]
    yield "bits behind the last byte", forge.good[:-1] + other
    yield "a changed claim", ".".join([body[0], base64url(json.dumps(
        {**forge.claims, "roles": ["admin"]}).encode()), body[2]])
    yield "too long", forge.token(claims={**forge.claims, "x": "y" * 8192})


def confused(forge):
    """The public key, or nothing, as a secret."""
    for name, key in (("public PEM", forge.public), ("public PEM without its end",
                                                     forge.public.rstrip()),
                      ("an empty key", b""), ("the kid", forge.kid.encode())):
        for header in ({"alg": "HS256"}, {"alg": "HS256", "kid": forge.kid}):
            yield f"HS256 with {name}, {len(header)}", forge.hmac(key, header)
    yield "the secret, named by a kid", forge.hmac(forge.secret.encode(),
                                                   {"alg": "HS256", "kid": forge.kid})


ATTACKS = (bent_headers, bent_claims, bent_signatures, confused)


def call(service, token):
    user = User(service, None, token=token, user_id="00000000-0000-7000-8000-000000000000")
    try:
        return user.accounts()
    finally:
        user.http.close()


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused(trust, forge, attack):
    cases = dict(attack(forge))
    for name, token in cases.items():
        response = call(trust.wallet_service, token)
        if " " in token:  # two words are no credentials at all (RFC 6750: 400)
            assert response.status_code == 400, name
            continue
        assert response.status_code in (401, 431), f"{name}: {response.status_code} {response.text}"
        if response.status_code == 401:
            assert_unauthorized(response)
            assert 'error="invalid_token"' in response.headers["www-authenticate"], name
    assert_ok(call(trust.wallet_service, forge.good))


def test_there_are_enough(forge):
    assert sum(len(list(attack(forge))) for attack in ATTACKS) >= 130


@pytest.mark.parametrize("attack", (bent_headers, bent_signatures, confused))
def test_an_attack_is_refused_beside_the_secret(both, forge, attack):
    for name, token in attack(forge):
        assert call(both, token).status_code in (400, 401, 431), name
    assert_ok(call(both, forge.good))


def test_beside_the_secret_an_old_token_is_good(trust, both, forge, secret):
    claims = {"iss": "https://auth.example", "aud": "wallet"}
    old = tokens.access_token(forge.claims["sub"], secret, **claims)
    assert_ok(call(both, old))
    assert_unauthorized(call(trust.wallet_service, old))


def test_the_mirrored_signature_is_accepted(trust, forge):
    """ECDSA's s and its negative are both good; nothing is remembered by a token's text (token.c)."""
    signed = forge.segments()
    r, s = forge.pair(signed)
    for value in (s, ORDER - s):
        token = f"{signed}.{base64url(r.to_bytes(32, 'big') + value.to_bytes(32, 'big'))}"
        assert_ok(call(trust.wallet_service, token))


def test_a_token_is_taken_from_the_header_alone(trust, forge):
    user = User(trust.wallet_service, None, token="x", user_id=forge.claims["sub"])
    del user.http.headers["Authorization"]
    for query in ("access_token", "token", "authorization"):
        assert_unauthorized(user.http.get("/wallet/accounts", params={query: forge.good}))
    assert_unauthorized(user.http.get("/wallet/accounts", headers={
        "Cookie": f"access_token={forge.good}"}))
    user.http.close()
