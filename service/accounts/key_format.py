"""What a key looks like: `dti_`, 256 random bits in 43 letters and digits, and six that tell a typing error.

Only a key's digest is ever stored. One round of SHA-256 is enough for that: slow hashes protect what people make up and
others can guess, and nobody can guess 256 random bits. It also lets a key be found by its digest, so that no secrets
are compared and no time tells how much of one was right.
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
    """A key that nobody has."""
    body = f"dti_{_spell(secrets.randbits(_SECRET_BITS), _SECRET_LETTERS)}"
    return body + _check(body)


def is_well_formed(text: str) -> bool:
    """Whether a text is a key without typing errors; whether there is such a key is another question."""
    found = _FORM.fullmatch(text)
    return found is not None and _check(found[1]) == found[2]


def digest(secret: str) -> str:
    """What is stored instead of the key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def visible_prefix(secret: str) -> str:
    """The beginning, by which people tell keys apart; what is left unknown is still beyond guessing."""
    return secret[:_SHOWN_LETTERS]


def _check(body: str) -> str:
    return _spell(zlib.crc32(body.encode()), _CHECK_LETTERS)


def _spell(number: int, letters: int) -> str:
    spelled = ""
    for _ in range(letters):
        number, rest = divmod(number, len(_ALPHABET))
        spelled = _ALPHABET[rest] + spelled
    return spelled
