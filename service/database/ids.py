"""Ids: a prefix for the kind, and a sortable random value, ordered by time.

Twenty-six characters: 48 bits of milliseconds and 80 random bits, in an alphabet in the order of its values.
"""

import re
import secrets
import threading
import time
from datetime import datetime
from typing import Literal

Prefix = Literal["job", "con", "img", "emb", "own", "key", "whk", "dlv", "aud", "dbs"]

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_LENGTH = 26

_lock = threading.Lock()
_last = 0


def new_id(prefix: Prefix) -> str:
    """A new id, greater than every earlier one of this process."""
    return f"{prefix}_{_spell(_next())}"


def first_id(prefix: Prefix, moment: datetime) -> str:
    """The smallest id that can be made at a moment: every earlier one is smaller.

    Raises:
        OverflowError: the moment is before 1970 or after the last possible id.
    """
    milliseconds = int(moment.timestamp() * 1000)
    if not 0 <= milliseconds < 1 << 48:
        raise OverflowError(f"{moment} is out of the range of ids.")
    return f"{prefix}_{_spell(milliseconds << _RANDOM_BITS)}"


def is_id(prefix: Prefix, text: str) -> bool:
    """Whether a text has the form of an id of this kind."""
    return re.fullmatch(f"{prefix}_[{_ALPHABET}]{{{_LENGTH}}}", text) is not None


def _next() -> int:
    """Random within a millisecond, but greater than the last one: ids of this process are in order."""
    global _last  # noqa: PLW0603 - the order holds for the whole process, so its memory is the process's
    fresh = (time.time_ns() // 1_000_000 << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    with _lock:
        _last = max(fresh, _last + 1)
        return _last


def _spell(number: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (_LENGTH - 1), -1, -5))
