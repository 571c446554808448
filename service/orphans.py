"""Orphaned objects of the whole bucket, and how many of them are too many to be true."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from service import retention
from service.context import Service
from service.storage import StoredObject

MAX_ORPHANS = 100
MAX_SHARE = 0.05
FEW_ORPHANS = 10
"""So many are deleted whatever their share: a refused upload in a small bucket leaves some."""

_PAGE_SIZE = 1000


@dataclass
class OrphanScan:
    """The orphans of a bucket, part by part.

    Args:
        total: objects looked at.
        count: orphans among them.
        orphans: the first of them, a few more than are ever deleted.
    """

    total: int = 0
    count: int = 0
    orphans: list[StoredObject] = field(default_factory=list)

    def add(self, page: Sequence[StoredObject], keys: Sequence[str]) -> None:
        """Add a part of the bucket, and the keys of its orphans."""
        found = set(keys)
        self.total += len(page)
        self.count += len(found)
        room = MAX_ORPHANS + 1 - len(self.orphans)
        self.orphans += [item for item in page if item.key in found][:room]

    @property
    def suspicious(self) -> bool:
        """Whether so many are orphans that the database is probably not the bucket's, or not complete."""
        return self.count > MAX_ORPHANS or self.count > max(FEW_ORPHANS, MAX_SHARE * self.total)


def pages(service: Service) -> Iterator[list[str]]:
    """The keys of all orphans in the bucket, page by page.

    Raises:
        UnavailableError: the database or the object store does not answer.
    """
    last_key = ""
    while page := service.storage.list_after(last_key, _PAGE_SIZE):
        with service.database.reading() as session:
            yield retention.orphans(session, page)
        last_key = page[-1].key
