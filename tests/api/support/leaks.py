"""Looks for secrets in texts: as they are, in part, and in the forms that programs write them in."""

import base64
import json
import urllib.parse

PIECE = 20  # characters: a secret is found by its first and its last ones too


def _base64_forms(data):
    """What stands in base64 of a longer text that has the data in it, wherever it begins."""
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for shift in range(3):
            text = encode(bytes(shift) + data).rstrip(b"=").decode()
            # The characters at both ends depend on the neighbours.
            yield text[(0, 2, 3)[shift]:len(text) - (1 if (shift + len(data)) % 3 else 0)]


def forms_of_bytes(data):
    return {data.hex(), data.hex().upper(), *_base64_forms(data)}


def forms_of_text(text):
    forms = {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1],
             urllib.parse.quote(text, safe=""), urllib.parse.quote_plus(text), repr(text)[1:-1],
             text.replace("'", "''"), text[::-1]}
    return forms | forms_of_bytes(text.encode())


class Secrets:
    """Named secrets, and every text that would give one away."""

    def __init__(self):
        self.forms = {}  # name -> texts

    def add(self, name, text, raw=None):
        """raw: the bytes that the text stands for."""
        assert len(text) >= 16, f"{name} is too short to be told from other text"
        forms = forms_of_text(text)
        if len(text) >= 2 * PIECE:
            forms |= forms_of_text(text[:PIECE]) | forms_of_text(text[-PIECE:])
        if raw is not None:
            assert len(raw) >= 16
            forms |= forms_of_bytes(raw) | forms_of_bytes(raw[:16]) | forms_of_bytes(raw[-16:])
        self.forms.setdefault(name, set()).update(forms)
        return text

    def add_random(self, name, text):
        """Of 256 random bits in base64url."""
        return self.add(name, text, base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))

    def add_token(self, name, token):
        """Of an access token the signature: its claims may be told, and its header is that of others."""
        return self.add_random(name, token.rpartition(".")[2]) and token

    def found_in(self, text):
        """Names of the secrets that the text gives away."""
        return sorted(name for name, forms in self.forms.items()
                      if any(form in text for form in forms))
