"""Reads a password from standard input and prints its SCRAM-SHA-256 verifier, in the form that
PostgreSQL stores. With it a role gets its password without the server, or its log, ever seeing
the password itself. The passwords here are ASCII, which SASLprep leaves as they are."""

import base64
import hashlib
import hmac
import os
import sys

ITERATIONS = 4096


def main():
    password = sys.stdin.read().rstrip("\n")
    if not password or not password.isascii() or not password.isprintable():
        sys.exit("the password must be printable ASCII")
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    encode = lambda raw: base64.b64encode(raw).decode()
    print(f"SCRAM-SHA-256${ITERATIONS}:{encode(salt)}${encode(stored_key)}:{encode(server_key)}")


if __name__ == "__main__":
    main()
