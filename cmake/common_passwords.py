"""common_passwords.py OUTPUT: writes the list of common passwords that new ones must not be.

From the frequency lists of zxcvbn (Debian's python3-zxcvbn): passwords, and words that people take
for them. Each is folded as auth_api folds (NFKC, no case), lines are sorted by byte, and those that
are too short for a password anyway are left out.
"""

import sys
import unicodedata

from zxcvbn.frequency_lists import FREQUENCY_LISTS

CHARACTERS_MIN = 8
ENTRIES_MIN = 10_000


def folded(word):
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", word).casefold())


def main():
    words = {folded(word) for words in FREQUENCY_LISTS.values() for word in words}
    lines = sorted(word.encode() for word in words if len(word) >= CHARACTERS_MIN)
    if len(lines) < ENTRIES_MIN:
        sys.exit(f"only {len(lines)} common passwords were found")
    with open(sys.argv[1], "wb") as stream:
        stream.writelines(line + b"\n" for line in lines)


if __name__ == "__main__":
    main()
