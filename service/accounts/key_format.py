"""The format of keys: `dti_`, 256 random bits in 43 letters and digits, and six check characters.

Only the digest of a key is stored. One round of SHA-256 is enough: slow hashes protect guessable passwords, and 256
random bits cannot be guessed. It also lets a key be found by its digest, so that no comparison leaks timing.
"""

import hashlib
import re
import secrets
import zlib

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_BITS = 256
_SECRET_LETTERS = 43
_CHECK_LETTERS = 6
_SHOWN_LETTERS = 12
_FORM = re.compile(f"(dti_[{_ALPHABET}]{{{_SECRET_LETTERS}}})([{_ALPHABET}]{{{_CHECK_LETTERS}}})")


def new_secret() -> str:
    """A new key."""
    body = f"dti_{_spell(secrets.randbits(_SECRET_BITS), _SECRET_LETTERS)}"
    return body + _check(body)


def is_well_formed(text: str) -> bool:
    """Whether a text has the format of a key with correct check characters; the key may still not exist."""
    found = _FORM.fullmatch(text)
    return found is not None and _check(found[1]) == found[2]


def digest(secret: str) -> str:
    """The digest of a key, as stored."""
    return hashlib.sha256(secret.encode()).hexdigest()


def visible_prefix(secret: str) -> str:
    """The first characters, which identify a key in lists; the rest is still beyond guessing."""
    return secret[:_SHOWN_LETTERS]


def _check(body: str) -> str:
    return _spell(zlib.crc32(body.encode()), _CHECK_LETTERS)


def _spell(number: int, letters: int) -> str:
    spelled = ""
    for _ in range(letters):
        number, rest = divmod(number, len(_ALPHABET))
        spelled = _ALPHABET[rest] + spelled
    return spelled
