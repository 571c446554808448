"""What keeps a worker that lost a job from writing to it: the attempt, checked under the job row's lock."""

from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Job
from service.errors import LeaseLostError


class Attempt(Protocol):
    """Whose write it is."""

    @property
    def job_id(self) -> str:
        """The job."""

    @property
    def attempt(self) -> int:
        """The fencing token."""


def fenced(session: Session, attempt: Attempt) -> Job:
    """The job's row, locked, where it still runs under this attempt.

    Raises:
        LeaseLostError: it does not; nothing may be written.
    """
    query = select(Job).where(Job.id == attempt.job_id, Job.attempt == attempt.attempt, Job.status == "running")
    job = session.scalars(query.with_for_update().execution_options(populate_existing=True)).one_or_none()
    if job is None:
        raise LeaseLostError(attempt.job_id, attempt.attempt)
    return job
