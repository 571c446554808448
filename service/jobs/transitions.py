"""The ends of an attempt: success, failure, cancellation, release; and requests to cancel."""

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
    """A summary of an embedding's rows for one encoder.

    Args:
        magnitude: mean of their norms.
    """

    vectors: int
    dim: int
    magnitude: float


@dataclass(frozen=True, kw_only=True)
class StoredEmbedding:
    """An embedding in the object store.

    Args:
        encoders: summary per encoder.
        bytes: size of its file.
        steps: updates of its training; 0 without one.
        neighbours: the nearest words per row; None if not computed.
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
    """The result of an RPC.

    Args:
        result: of its task.
        file_key: a file in the object store.
    """

    result: ResultT_co
    file_key: str | None = None


def succeed(session: Session, claim: Attempt) -> None:
    """End a job after its results are written.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    job.step = job.total
    move(session, job, "succeeded")


def fail(session: Session, claim: Attempt, code: str, message: str) -> None:
    """End a job that would fail again in another attempt.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    job.error_code, job.error_message = code, message
    move(session, job, "failed")


def confirm_cancel(session: Session, claim: Attempt) -> None:
    """End a job at the worker, because a cancel was requested.

    Raises:
        LeaseLostError: the attempt is over.
    """
    move(session, fenced(session, claim), "cancelled")


def finish_training(session: Session, claim: Attempt, made: StoredEmbedding) -> EmbeddingVersion:
    """End a training: the embedding becomes its concept's present one, in the same transaction.

    The transaction must have written nothing before: it would hold the job's lock while it waits for the concept's.

    Raises:
        LeaseLostError: the attempt is over, or the concept was deleted, which ends its trainings.
    """
    # The concept is locked before the job, in the order of `concepts.delete`: the other order could deadlock.
    trained = select(JobConcept.concept_id).where(JobConcept.job_id == claim.job_id)
    concept = session.scalars(select(Concept).where(Concept.id.in_(trained)).with_for_update()).one_or_none()
    job = fenced(session, claim)
    if concept is None:
        raise LeaseLostError(claim.job_id, claim.attempt)
    newest = select(func.max(EmbeddingVersion.number)).where(EmbeddingVersion.concept_id == concept.id)
    number = (session.scalars(newest).one() or 0) + 1
    version = made.version(concept.id, number, now(session), job_id=job.id)
    session.add(version)
    concept.version = number
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
    """End an RPC with its result, in the transaction that writes it.

    Args:
        session: writes.
        claim: the RPC's.
        write: writes and returns the result; not called for a cancelled RPC.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    if job.cancel_requested:
        # The request has given up: a concept created now would surprise its owner after an error response.
        move(session, job, "cancelled")
        return
    reply = write()
    job.result = reply.result.to_json()
    job.file_key = reply.file_key or job.file_key
    job.step = job.total
    move(session, job, "succeeded")


def request_cancel(session: Session, job_id: str) -> Job:
    """Request a cancel: a queued job ends at once, a running one when its worker confirms.

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
    """A job at the end of the request that waited for it, and whether it has ended; if not, it is cancelled."""
    job = session.scalars(_locked(job_id)).one()
    in_time = job.status in ENDED
    if not in_time:
        request_cancel(session, job_id)
    return job, in_time


def force_cancel(session: Session, job: Job) -> None:
    """End an unfinished job, locked by the caller, without asking its worker, which loses the fence."""
    job.cancel_requested = True
    move(session, job, "cancelled")


def _locked(job_id: str) -> Select[Job]:
    return select(Job).where(Job.id == job_id).with_for_update().execution_options(populate_existing=True)
