"""What a worker writes of a job while it runs. Every write is fenced: LeaseLostError where the attempt is over."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.ids import new_id
from service.database.tables import Image, MetricChunk, Role
from service.jobs.fencing import Attempt, fenced
from service.jobs.states import append
from service.kinds.versioned import Versioned
from service.safety import SafetyVerdict


@dataclass(frozen=True, kw_only=True)
class NewImage:
    """A picture that lies in the storage.

    Args:
        position: its number in the job, from 0; a preview's update.
        safety: what the safety check thought of it; None where it did not look.
    """

    role: Role
    position: int
    key: str
    sha256: str
    content_type: str
    width: int
    height: int
    bytes: int
    seed: int | None = None
    prompt: str | None = None
    share: float | None = None
    safety: SafetyVerdict | None = None


def progress(
    session: Session, claim: Attempt, *, step: int, total: int, loss: float | None, eta_s: float | None
) -> None:
    """Say how far a job is.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    job.step, job.total, job.loss, job.eta_s = step, total, _finite(loss), _finite(eta_s)
    append(session, job, "progress", {"step": step, "total": total, "loss": job.loss, "eta_s": job.eta_s})


def set_result(session: Session, claim: Attempt, result: Versioned) -> None:
    """Say what a job has brought besides pictures and numbers of every step.

    Raises:
        LeaseLostError: the attempt is over.
    """
    fenced(session, claim).result = result.to_json()


def add_metrics(
    session: Session,
    claim: Attempt,
    steps: Sequence[int],
    losses: Sequence[float | None],
    angles_rad: Sequence[float | None],
) -> None:
    """Add a stretch of a training's curve, one value of each a step; a value that is not finite is kept as null.

    A stretch that begins where one of the same attempt did takes its place: a training that broke within its worker
    goes on from its checkpoint without a new attempt.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    chunk = MetricChunk(
        job_id=job.id,
        attempt=job.attempt,
        first_step=steps[0],
        steps=list(steps),
        losses=[_finite(loss) for loss in losses],
        angles_rad=[_finite(angle) for angle in angles_rad],
    )
    session.merge(chunk)


def save_checkpoint(session: Session, claim: Attempt, *, key: str, step: int) -> str | None:
    """Note that a checkpoint lies in the storage, from which another attempt goes on.

    Returns:
        The key of the one before, which nobody needs once this is committed.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    before = job.checkpoint_key
    if step > job.checkpoint_step:
        job.checkpoint_attempt = job.attempt
    job.checkpoint_key, job.checkpoint_step = key, step
    return before if before != key else None


def add_image(session: Session, claim: Attempt, new: NewImage) -> Image:
    """Add a picture that the job made; one that an earlier attempt made at its place is replaced.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    query = select(Image).where(Image.job_id == job.id, Image.role == new.role, Image.position == new.position)
    image = session.scalars(query).one_or_none() or Image(id=new_id("img"), job_id=job.id)
    for name, value in vars(new).items():
        setattr(image, name, value)
    image.safety = new.safety.to_json() if new.safety else None
    image.created_at = now(session)
    session.add(image)
    if new.role == "preview":
        append(session, job, "preview", {"image": image.id})
    return image


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
