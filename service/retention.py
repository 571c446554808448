"""What is kept for how long, and which objects lie in the storage although nobody refers to them.

It forgets rows and says which objects that leaves behind; whoever calls deletes them after the commit. What is lost
between the two, and what a crash left between an object and its row, is found by its age: an object is put at most
minutes before the row that refers to it, and only by whoever makes that row (docs/decisions/0006).
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.references import unreferenced
from service.database.tables import Concept, Image, Job, JobConcept, Picture, Role
from service.jobs import ENDED, UNFINISHED
from service.kinds.jobs import TrainInput, kind_of
from service.settings import Retention
from service.storage import StoredObject

GRACE = timedelta(hours=1)
"""How old an object is at least before it can count as left behind."""

_BATCH = 200
"""Rows that one transaction forgets."""

_OURS = re.compile(r"own_\w+/(pictures|images|embeddings|checkpoints|rpc)/.+", re.ASCII)
"""What the service names; other things in the bucket are none of its business."""

_MADE: tuple[Role, ...] = ("image", "animation", "contact_sheet")
_PREVIEWS: tuple[Role, ...] = ("preview",)


def delete_expired(session: Session, retention: Retention) -> list[str]:
    """Forget some of what has been kept for longer than it is to be.

    Returns:
        The keys of objects that nobody refers to any more, to be deleted once this is committed.
    """
    keys = set()
    if retention.uploads_days:
        keys |= _delete_uploads(session, now(session) - timedelta(days=retention.uploads_days))
    if retention.images_days:
        keys |= _delete_images(session, _MADE, now(session) - timedelta(days=retention.images_days))
    if retention.previews_days:
        keys |= _delete_images(session, _PREVIEWS, now(session) - timedelta(days=retention.previews_days))
    session.flush()
    return unreferenced(session, keys) if keys else []


def orphans(session: Session, listed: Sequence[StoredObject]) -> list[str]:
    """Those of some objects that are ours, old enough, and referred to by nobody."""
    old = [item.key for item in listed if item.stored_at < now(session) - GRACE and _OURS.fullmatch(item.key)]
    return unreferenced(session, old) if old else []


def _delete_uploads(session: Session, before: datetime) -> set[str]:
    """The pictures of concepts that are made before a moment, and that no training is learning from."""
    learned = select(JobConcept.concept_id).join(Job).where(Job.kind == kind_of(TrainInput), Job.status.in_(UNFINISHED))
    # Whoever queues a training locks the concept first: what is locked here is either seen as in training or skipped.
    old = select(Concept.id).where(Concept.created_at < before, Concept.pictures.any()).order_by(Concept.id)
    held = session.scalars(old.limit(_BATCH).with_for_update(skip_locked=True)).all()
    pictures = select(Picture).where(Picture.concept_id.in_(held), Picture.concept_id.not_in(learned))
    return _delete(session, session.scalars(pictures).all())


def _delete_images(session: Session, roles: Collection[Role], before: datetime) -> set[str]:
    ended = select(Job.id).where(Job.status.in_(ENDED))
    old = select(Image).where(Image.role.in_(roles), Image.created_at < before, Image.job_id.in_(ended))
    rows = session.scalars(old.order_by(Image.created_at).limit(_BATCH).with_for_update(skip_locked=True)).all()
    return _delete(session, rows)


def _delete(session: Session, rows: Sequence[Picture | Image]) -> set[str]:
    for row in rows:
        session.delete(row)
    return {row.key for row in rows}
