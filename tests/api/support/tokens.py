"""Access tokens made by hand (RFC 7519, HS256), right ones and wrong ones."""

import base64
import hashlib
import hmac
import json
import time


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def sign(signed, secret):
    return base64url(hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest())


def encode(claims, secret, header=None):
    header = {"alg": "HS256", "typ": "JWT"} if header is None else header
    parts = [base64url(part if isinstance(part, bytes) else json.dumps(part).encode())
             for part in (header, claims)]
    signed = ".".join(parts)
    return f"{signed}.{sign(signed, secret)}"


def access_token(user_id, secret, lifetime_s=3600, **claims):
    """`sub` and `exp` and nothing else, as an older issuer made them, unless claims are given."""
    return encode({"sub": str(user_id), "exp": int(time.time()) + lifetime_s, **claims}, secret)


def claims_of(token):
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def header_of(token):
    head = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))


def thumbprint(text):
    """RFC 7638, of a key's canonical JSON."""
    return base64url(hashlib.sha256(text.encode()).digest())
