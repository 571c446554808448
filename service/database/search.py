"""Search of words in a column of prepared text: the same on SQLite and PostgreSQL, in every script.

A row is found when every word of a query is a part of its text. Both are folded here, by Unicode's rules, so that no
database's own idea of upper and lower case counts.
"""

import unicodedata
from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy import Select
from sqlalchemy.orm import InstrumentedAttribute

T = TypeVar("T")

MAX_WORDS = 8
"""Words of a query that count; each costs one pass over the owner's texts."""


def folded(*parts: str | None) -> str:
    """The text of a row for a search: its parts without case and compatibility forms, with a space at both ends."""
    words = " ".join(part for part in parts if part).split()
    return f" {unicodedata.normalize('NFKC', ' '.join(words)).casefold()} "


def containing(query: Select[T], column: InstrumentedAttribute[str], words: str) -> Select[T]:
    """The rows of a query whose text contains every one of some words."""
    for word in folded(words).split()[:MAX_WORDS]:
        query = query.where(column.contains(word, autoescape=True))
    return query


def tag_words(tags: Iterable[str]) -> str:
    """Tags as words of a text that no other word can equal."""
    return " ".join(f"#{tag}" for tag in tags)
