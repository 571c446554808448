"""How a job leaves its worker: done, failed, cancelled, or handed back; and how its end is train_input for."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Generic

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session
from typing_extensions import TypeVar

from service.database.clock import now
from service.database.ids import new_id
from service.database.tables import ENDED, UNFINISHED, Concept, EmbeddingVersion, Job, JobConcept
from service.errors import JobEndedError, LeaseLostError, NotFoundError
from service.jobs.fencing import Attempt, fenced
from service.jobs.states import append_status, move
from service.kinds.jobs import TrainInput
from service.kinds.rpc import NeighboursByEncoder
from service.kinds.versioned import Versioned

ResultT_co = TypeVar("ResultT_co", bound=Versioned, covariant=True, default=Versioned)


@dataclass(frozen=True, kw_only=True)
class EncoderRows:
    """An embedding's rows for one encoder, in figures.

    Args:
        magnitude: the mean of their norms.
    """

    vectors: int
    dim: int
    magnitude: float


@dataclass(frozen=True, kw_only=True)
class StoredEmbedding:
    """What a training made, as it lies in the storage.

    Args:
        encoders: the rows of each encoder, in figures.
        bytes: the size of its file.
        steps: updates that it took.
        neighbours: the words nearest to its rows; None where nobody train_input.
    """

    sha256: str
    key: str
    encoders: Mapping[str, EncoderRows]
    bytes: int
    steps: int
    neighbours: NeighboursByEncoder | None = None

    def version(self, concept_id: str, number: int, moment: datetime, *, job_id: str | None = None) -> EmbeddingVersion:
        """The row of a concept's embedding, to be added to a session."""
        return EmbeddingVersion(
            id=new_id("emb"),
            concept_id=concept_id,
            number=number,
            job_id=job_id,
            key=self.key,
            sha256=self.sha256,
            encoders={name: asdict(rows) for name, rows in self.encoders.items()},
            bytes=self.bytes,
            steps=self.steps,
            neighbours=dict(self.neighbours) if self.neighbours is not None else None,
            created_at=moment,
        )


@dataclass(frozen=True, kw_only=True)
class RpcResult(Generic[ResultT_co]):
    """What an RPC brings back.

    Args:
        result: of its task.
        file_key: a file beside it, in the storage.
    """

    result: ResultT_co
    file_key: str | None = None


def succeed(session: Session, claim: Attempt) -> None:
    """End a job whose results are all written.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    job.step = job.total
    move(session, job, "succeeded")


def fail(session: Session, claim: Attempt, code: str, message: str) -> None:
    """End a job for a reason that would be there again at the next attempt.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    job.error_code, job.error_message = code, message
    move(session, job, "failed")


def confirm_cancel(session: Session, claim: Attempt) -> None:
    """End a job because somebody train_input for it.

    Raises:
        LeaseLostError: the attempt is over.
    """
    move(session, fenced(session, claim), "cancelled")


def release(session: Session, claim: Attempt) -> None:
    """Put a job back into the queue at its old place, because the worker stops; this is no lost attempt.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    move(session, job, "cancelled" if job.cancel_requested else "queued")


def finish_training(session: Session, claim: Attempt, made: StoredEmbedding) -> EmbeddingVersion:
    """End a training: what it made becomes its concept's embedding, in the same transaction.

    That transaction must have written nothing before, or it could hold the job while it waits for the concept.

    Raises:
        LeaseLostError: the attempt is over; so it is when the concept was deleted, which ends its trainings.
    """
    # The concept before the job: who deletes it locks them in this order, and each would wait for the other.
    trained = select(JobConcept.concept_id).where(JobConcept.job_id == claim.job_id)
    concept = session.scalars(select(Concept).where(Concept.id.in_(trained)).with_for_update()).one_or_none()
    job = fenced(session, claim)
    if concept is None:
        raise LeaseLostError(claim.job_id, claim.attempt)
    newest = select(func.max(EmbeddingVersion.number)).where(EmbeddingVersion.concept_id == concept.id)
    number = (session.scalars(newest).one() or 0) + 1
    version = made.version(concept.id, number, now(session), job_id=job.id)
    session.add(version)
    train_input = TrainInput.from_json(job.input)
    concept.method, concept.training, concept.updated_at = (
        train_input.method,
        asdict(train_input.training),
        now(session),
    )
    job.step = job.total
    move(session, job, "succeeded")
    return version


def finish_rpc(session: Session, claim: Attempt, write: Callable[[], RpcResult]) -> None:
    """End an RPC with what it brings back, in the transaction in which that is written.

    Args:
        session: writes.
        claim: whose RPC it is.
        write: writes what was made and returns what the RPC brings back; not called where nobody waits any more.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    if job.cancel_requested:
        move(session, job, "cancelled")
        return
    reply = write()
    job.result = reply.result.to_json()
    job.file_key = reply.file_key or job.file_key
    job.step = job.total
    move(session, job, "succeeded")


def request_cancel(session: Session, job_id: str) -> Job:
    """Ask for a job's end: a queued one ends at once, a running one when its worker hears of it.

    Raises:
        NotFoundError: there is no such job.
        JobEndedError: it has succeeded or failed.
    """
    job = session.scalars(_locked(job_id)).one_or_none()
    if job is None:
        raise NotFoundError("job", job_id)
    if job.status in {"succeeded", "failed"}:
        raise JobEndedError(job.id, job.status)
    if job.status in UNFINISHED and not job.cancel_requested:
        job.cancel_requested = True
        if job.status == "queued":
            move(session, job, "cancelled")
        else:
            append_status(session, job)
    return job


def cancel_if_unfinished(session: Session, job_id: str) -> tuple[Job, bool]:
    """A job that a request waited for, and whether it has ended; one that has not is called off: nobody asks again."""
    job = session.scalars(_locked(job_id)).one()
    in_time = job.status in ENDED
    if not in_time:
        request_cancel(session, job_id)
    return job, in_time


def force_cancel(session: Session, job: Job) -> None:
    """End an unfinished job, whose row the caller has locked, without asking its worker, which loses the fence."""
    job.cancel_requested = True
    move(session, job, "cancelled")


def _locked(job_id: str) -> Select[Job]:
    return select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
