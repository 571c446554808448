"""Retention: deletion of expired rows, and detection of orphaned objects in the object store.

Rows are deleted here; their objects by the caller, after the commit. Objects lost between the two, or between an object
and its row, are found by their age: an object is stored at most minutes before the row that refers to it, by the
process that writes that row (docs/decisions/0006).
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session, selectinload

from service.database.clock import now
from service.database.references import unreferenced
from service.database.tables import Concept, Event, Image, Job, JobConcept, Picture, Role
from service.jobs import ENDED, UNFINISHED
from service.jobs.deletion import remove
from service.kinds.jobs import TrainInput, kind_of
from service.settings import Retention
from service.storage import StoredObject

GRACE = timedelta(hours=1)
"""Age from which an object without a reference is an orphan."""

_BATCH = 200
"""Rows per transaction."""

_OURS = re.compile(r"own_\w+/(pictures|images|embeddings|checkpoints|rpc)/.+", re.ASCII)
"""The keys that the service writes; other objects in the bucket are ignored."""

_MADE: tuple[Role, ...] = ("image", "animation", "contact_sheet")
_PREVIEWS: tuple[Role, ...] = ("preview",)


def delete_expired(session: Session, retention: Retention) -> list[str]:
    """Delete a batch of pictures and images that are older than their retention.

    Returns:
        The keys of objects without a reference, to be deleted after the commit.
    """
    keys = set()
    if retention.uploads_days:
        keys |= _delete_uploads(session, now(session) - timedelta(days=retention.uploads_days))
    if retention.images_days:
        keys |= _delete_images(session, _MADE, now(session) - timedelta(days=retention.images_days))
    if retention.previews_days:
        keys |= _delete_images(session, _PREVIEWS, now(session) - timedelta(days=retention.previews_days))
    if retention.jobs_days:
        keys |= _delete_jobs(session, now(session) - timedelta(days=retention.jobs_days))
    session.flush()
    return unreferenced(session, keys) if keys else []


def thin_events(session: Session) -> int:
    """Delete the progress events of a batch of jobs that ended an hour ago; returns the number of jobs.

    The events of status, previews and the end stay: they tell the whole story of a job to a late reader.
    """
    due = select(Job.id).where(Job.thin_events_at < now(session)).order_by(Job.thin_events_at).limit(_BATCH)
    ids = session.scalars(due.with_for_update(skip_locked=True)).all()
    if ids:
        session.execute(delete(Event).where(Event.job_id.in_(ids), Event.name == "progress"))
        session.execute(update(Job).where(Job.id.in_(ids)).values(thin_events_at=None))
    return len(ids)


def is_ours(key: str) -> bool:
    """Whether a key is one that the service writes."""
    return _OURS.fullmatch(key) is not None


def orphans(session: Session, listed: Sequence[StoredObject]) -> list[str]:
    """The keys among the listed objects that are ours, old enough, and without a reference."""
    old = [item.key for item in listed if item.stored_at < now(session) - GRACE and is_ours(item.key)]
    return unreferenced(session, old) if old else []


def _delete_uploads(session: Session, before: datetime) -> set[str]:
    """Delete the pictures of concepts created before a moment, except where a training is unfinished."""
    in_training = (
        select(JobConcept.concept_id).join(Job).where(Job.kind == kind_of(TrainInput), Job.status.in_(UNFINISHED))
    )
    # Ids are in the order of time: the first pictures belong to the oldest concepts that still have some.
    of_concept = in_training.where(JobConcept.concept_id == Picture.concept_id).correlate(Picture)
    first = select(Picture.concept_id).where(~of_concept.exists()).order_by(Picture.concept_id)
    oldest = select(Concept.created_at).where(Concept.id == first.limit(1).scalar_subquery())
    if (created_at := session.scalars(oldest).first()) is None or created_at >= before:
        return set()
    # A submission of a training locks the concept first: it is either seen here as in training, or skipped as locked.
    old = (
        select(Concept.id).where(Concept.id.in_(first.limit(_BATCH)), Concept.created_at < before).order_by(Concept.id)
    )
    locked = session.scalars(old.with_for_update(skip_locked=True)).all()
    pictures = select(Picture).where(Picture.concept_id.in_(locked), Picture.concept_id.not_in(in_training))
    return _delete(session, session.scalars(pictures).all())


def _delete_images(session: Session, roles: Collection[Role], before: datetime) -> set[str]:
    keys = set()
    for role in roles:  # one at a time: an index then has them in order
        old = select(Image).join(Job, Job.id == Image.job_id).where(Image.role == role, Image.created_at < before)
        ended = old.where(Job.status.not_in(UNFINISHED)).order_by(Image.created_at).limit(_BATCH)
        keys |= _delete(session, session.scalars(ended.with_for_update(skip_locked=True, of=Image)).all())
    return keys


def _delete_jobs(session: Session, before: datetime) -> set[str]:
    """Delete a batch of jobs that ended before a moment, with their events, metrics and images; embeddings stay."""
    old = select(Job).where(Job.finished_at < before, Job.status.in_(ENDED)).order_by(Job.finished_at).limit(_BATCH)
    jobs = session.scalars(old.options(selectinload(Job.images)).with_for_update(skip_locked=True)).all()
    return remove(session, jobs)


def _delete(session: Session, rows: Sequence[Picture | Image]) -> set[str]:
    for row in rows:
        session.delete(row)
    return {row.key for row in rows}
