"""Usage of owners, and their quotas: device seconds per day, and bytes in the object store.

Workers measure the seconds. Bytes are summed from the rows whenever they are needed: a running total goes wrong once
and stays wrong. Owners without a quota never wait for the sum.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import CompoundSelect, func, select, union, union_all
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.tables import UNFINISHED, Concept, EmbeddingVersion, Image, Job, Picture, Usage
from service.errors import DeviceQuotaExceededError, StorageQuotaExceededError
from service.kinds.jobs import LISTED
from service.settings import Quotas


@dataclass(frozen=True, kw_only=True)
class UsageSummary:
    """The usage of an owner.

    Args:
        device_s: of today (UTC), measured by the workers up to a few seconds ago.
        jobs: submitted today.
        pictures: generated today and not deleted since.
        unfinished_jobs: now.
        stored_bytes: of all pictures, images and embeddings, now; equal files count once.
    """

    device_s: float
    jobs: int
    pictures: int
    unfinished_jobs: int
    stored_bytes: int


def add_device_s(session: Session, seconds: Mapping[str, float]) -> None:
    """Add to the device seconds of owners for today."""
    insert = (postgresql if session.get_bind().dialect.name == "postgresql" else sqlite).insert
    for owner_id, device_s in sorted(seconds.items()):
        more = insert(Usage).values(owner_id=owner_id, day=today(session), device_s=device_s)
        total = {"device_s": Usage.device_s + more.excluded.device_s}
        session.execute(more.on_conflict_do_update(index_elements=["owner_id", "day"], set_=total))


def today(session: Session) -> date:
    """The day (UTC) to which usage counts."""
    return now(session).date()


def summary(session: Session, owner_id: str) -> UsageSummary:
    """The usage of an owner."""
    midnight = _midnight(now(session))
    jobs = select(func.count()).select_from(Job).where(Job.owner_id == owner_id, Job.kind.in_(LISTED))
    images_made = select(func.count()).select_from(Image).where(Image.owner_id == owner_id)
    return UsageSummary(
        device_s=device_s_today(session, owner_id),
        jobs=session.scalars(jobs.where(Job.created_at >= midnight)).one(),
        pictures=session.scalars(images_made.where(Image.created_at >= midnight)).one(),
        unfinished_jobs=session.scalars(jobs.where(Job.status.in_(UNFINISHED))).one(),
        stored_bytes=stored_bytes(session, owner_id),
    )


def device_s_today(session: Session, owner_id: str) -> float:
    """Device seconds of an owner's jobs today."""
    row = session.get(Usage, (owner_id, today(session)))
    return row.device_s if row else 0.0


def stored_bytes(session: Session, owner_id: str) -> int:
    """Bytes of an owner's objects; equal files count once."""
    return _bytes(session, owner_id, union)


def check_quotas(session: Session, quotas: Quotas, owner_id: str, *, adding_bytes: int = 0) -> None:
    """Check that an owner's quotas are not used up.

    Running jobs are not stopped: the last job of a day, or several submitted at once, may exceed the quota.

    Raises:
        DeviceQuotaExceededError: the day's device seconds are used up.
        StorageQuotaExceededError: the storage is full, or would be with `adding_bytes`.
    """
    if quotas.device_s_per_day and device_s_today(session, owner_id) >= quotas.device_s_per_day:
        raise DeviceQuotaExceededError(quotas.device_s_per_day, _until_midnight_s(now(session)))
    check_storage(session, quotas, owner_id, adding_bytes)


def check_storage(session: Session, quotas: Quotas, owner_id: str, adding_bytes: int) -> None:
    """Check that an owner's storage has room for more.

    Raises:
        StorageQuotaExceededError: it is full, or would be with `adding_bytes`.
    """
    # An upper bound, which counts shared objects several times, takes a fifteenth of the time; mostly it is enough.
    if not quotas.stored_bytes or _bytes(session, owner_id, union_all) + adding_bytes < quotas.stored_bytes:
        return
    stored = stored_bytes(session, owner_id)
    if stored >= quotas.stored_bytes or stored + adding_bytes > quotas.stored_bytes:
        raise StorageQuotaExceededError(stored + adding_bytes, quotas.stored_bytes)


def _bytes(session: Session, owner_id: str, combine: Callable[..., CompoundSelect[str, int]]) -> int:
    """The bytes of an owner's objects, `combine`d: each object once (union), or once per reference (union_all)."""
    pictures = select(Picture.key, Picture.bytes).join(Concept, Concept.id == Picture.concept_id)
    embeddings = select(EmbeddingVersion.key, EmbeddingVersion.bytes).join(
        Concept, Concept.id == EmbeddingVersion.concept_id
    )
    images = select(Image.key, Image.bytes)
    objects = combine(
        pictures.where(Concept.owner_id == owner_id),
        embeddings.where(Concept.owner_id == owner_id),
        images.where(Image.owner_id == owner_id),
    ).subquery()
    return int(session.scalars(select(func.coalesce(func.sum(objects.c.bytes), 0))).one())


def _midnight(moment: datetime) -> datetime:
    """The beginning of the day (UTC)."""
    return datetime.combine(moment.date(), time(), UTC)


def _until_midnight_s(moment: datetime) -> int:
    return math.ceil((_midnight(moment) + timedelta(days=1) - moment).total_seconds())
