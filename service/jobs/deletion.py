"""The deletion of a job with everything that it made, except a concept's embedding."""

from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session, selectinload

from service.database.references import unreferenced
from service.database.tables import UNFINISHED, Concept, EmbeddingVersion, Job
from service.errors import JobUnfinishedError, NotFoundError
from service.kinds.jobs import LISTED


def delete(session: Session, owner_id: str, job_id: str) -> list[str]:
    """Delete a job that has ended, with its images, events and metrics; a concept that it has trained stays.

    Returns:
        The keys of objects without a reference, to be deleted after the commit.

    Raises:
        NotFoundError: it does not exist, belongs to another owner, or is an RPC.
        JobUnfinishedError: it has not ended.
    """
    query = select(Job).where(Job.id == job_id, Job.owner_id == owner_id, Job.kind.in_(LISTED))
    job = session.scalars(query.with_for_update().options(selectinload(Job.images))).one_or_none()
    if job is None:
        raise NotFoundError("job", job_id)
    if job.status in UNFINISHED:
        raise JobUnfinishedError(job_id)
    keys = remove(session, [job])
    session.flush()
    return unreferenced(session, keys)


def remove(session: Session, jobs: Sequence[Job]) -> set[str]:
    """Delete ended jobs, locked by the caller; returns the keys of their objects, which may have other references."""
    for table in (Concept, EmbeddingVersion):
        session.execute(update(table).where(table.job_id.in_([job.id for job in jobs])).values(job_id=None))
    for job in jobs:
        session.delete(job)
    files = {key for job in jobs for key in (job.checkpoint_key, job.file_key) if key}
    return files | {image.key for job in jobs for image in job.images}
