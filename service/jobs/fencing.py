"""The fence: a worker that has lost a job cannot write to it. The attempt is checked under the lock of the row."""

from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.tables import Job
from service.errors import LeaseLostError


class Attempt(Protocol):
    """The attempt that writes."""

    @property
    def job_id(self) -> str:
        """The job."""

    @property
    def attempt(self) -> int:
        """The fencing token."""

    @property
    def device_s(self) -> float:
        """Seconds of the device that the job has used so far, in all attempts."""


def fenced(session: Session, attempt: Attempt) -> Job:
    """The row of a job that runs under this attempt, locked, with the device time so far.

    Raises:
        LeaseLostError: it does not; nothing may be written.
    """
    query = select(Job).where(Job.id == attempt.job_id, Job.attempt == attempt.attempt, Job.status == "running")
    # populate_existing: a row that this session read before the lock would be returned as it was then.
    job = session.scalars(query.with_for_update().execution_options(populate_existing=True)).one_or_none()
    if job is None:
        raise LeaseLostError(attempt.job_id, attempt.attempt)
    job.device_s = max(job.device_s, attempt.device_s)
    return job
