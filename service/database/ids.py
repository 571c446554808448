"""Ids: what kind of thing they name, and an order in time. Knows nothing of what is named.

Twenty-six characters: 48 bits of milliseconds and 80 random bits, in an alphabet that sorts like its values.
"""

import re
import secrets
import threading
import time
from typing import Literal

Kind = Literal["job", "con", "img", "emb", "own", "key", "whk", "dlv"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_LENGTH = 26

_lock = threading.Lock()
_last = 0


def new_id(kind: Kind) -> str:
    """A fresh id, greater than every earlier one of this process."""
    return f"{kind}_{_spell(_next())}"


def is_id(kind: Kind, text: str) -> bool:
    """Whether a text has the form of an id of this kind."""
    return re.fullmatch(f"{kind}_[{_ALPHABET}]{{{_LENGTH}}}", text) is not None


def _next() -> int:
    """Random within a millisecond, but never at or below the last one: ids made in a row stay in order."""
    global _last  # noqa: PLW0603 - the order holds for the whole process, so its memory is the process's
    fresh = (time.time_ns() // 1_000_000 << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    with _lock:
        _last = max(fresh, _last + 1)
        return _last


def _spell(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
