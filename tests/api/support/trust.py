"""auth_api that signs with keys of its own, and wallet_api that trusts them and follows its sessions."""

import secrets
import subprocess
import time

from support.api import Auth, User, assert_ok, new_name
from support.service import Service, base_environment
from support.settings import binary, scaled

PASSWORD = "correct horse battery"


class Keys:
    """The command auth_keys on a folder of its own."""

    def __init__(self, folder, next_age_s=0, expire_minutes=60):
        self.folder = folder / "keys"
        self.environment = {"KEYS_DIR": str(self.folder), "KEYS_NEXT_AGE_S": str(next_age_s),
                            "ACCESS_TOKEN_EXPIRE_MINUTES": str(expire_minutes)}

    def run(self, *arguments, check=True):
        run = subprocess.run([binary("auth_keys"), *arguments], capture_output=True, text=True,
                             env={**base_environment(), **self.environment},
                             cwd=self.folder.parent, timeout=scaled(20))
        assert not check or run.returncode == 0, run.stderr
        return run

    def states(self, *arguments):
        """[(kid, state)] after a command."""
        lines = self.run(*(arguments or ("list",))).stdout.splitlines()
        return [tuple(line.split()[:2]) for line in lines]

    def name(self, state):
        return next(kid for kid, its in self.states() if its == state)


class Trust:
    """Both services."""

    def __init__(self, auth_settings, wallet_settings, folder, **more):
        folder.mkdir(parents=True, exist_ok=True)
        self.keys = Keys(folder)
        self.keys.run("init")
        feed_secret = f"canary-{secrets.token_hex(24)}"
        self.auth_service = Service("auth_api", {
            **auth_settings, "JWT_ALGORITHM": "ES256", "KEYS_DIR": str(self.keys.folder),
            "FEED_SECRET": feed_secret, "JWT_ISSUER": "https://auth.example",
            "JWT_AUDIENCE": "wallet", "LOGIN_ADDRESS_BURST": "100000",
            "LOGIN_ALL_BURST": "100000"}, folder)
        url = self.auth_service.url
        self.wallet_service = Service("wallet_api", {
            **wallet_settings, "JWT_ALGORITHM": "ES256", "FEED_SECRET": feed_secret,
            "JWT_ISSUER": "https://auth.example", "JWT_AUDIENCE": "wallet",
            "JWT_REQUIRED_CLAIMS": "iat,jti,sid,roles",
            "AUTH_JWKS_URL": f"{url}/.well-known/jwks.json",
            "AUTH_REVOCATIONS_URL": f"{url}/internal/revocations", **more}, folder)
        self.auth = None

    def start(self):
        self.auth_service.start()
        self.wallet_service.start()
        self.auth = Auth(self.auth_service)
        return self

    def stop(self):
        self.auth.http.close()
        self.wallet_service.stop()
        self.auth_service.stop()

    def person(self):
        return Person(self)


class Person:
    def __init__(self, trust):
        self.trust = trust
        self.name = new_name()
        self.id = assert_ok(trust.auth.register(self.name, PASSWORD))["id"]

    def login(self):
        return Login(self, assert_ok(self.trust.auth.login(self.name, PASSWORD)))


class Login:
    """A session, and its bearer at wallet_api."""

    def __init__(self, person, pair):
        self.trust = person.trust
        self.pair = pair
        self.id = pair["session_id"]
        self.wallet = User(self.trust.wallet_service, None, token=pair["access_token"],
                           user_id=person.id)

    def auth(self, method, path, **more):
        return self.trust.auth.http.request(
            method, path, headers={"Authorization": f"Bearer {self.pair['access_token']}"}, **more)

    def refused_after(self, seconds=5.0):
        """Seconds until wallet_api refuses the token; every call counts."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            status = self.wallet.accounts().status_code
            if status == 401:
                return time.monotonic() - began
            assert status == 200, f"expected 200 or 401, got {status}"
        raise AssertionError(f"the token was still good after {seconds} s")
