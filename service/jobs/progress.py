"""The writes of a running job by its worker. Every one is fenced: LeaseLostError if the attempt is over."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.database.clock import now
from service.database.ids import new_id
from service.database.search import folded
from service.database.tables import Image, Job, MetricChunk, Role
from service.jobs.fencing import Attempt, fenced
from service.jobs.states import append, append_status
from service.kinds.versioned import Versioned
from service.kinds.warnings import JobWarning
from service.safety import SafetyVerdict


@dataclass(frozen=True, kw_only=True)
class NewImage:
    """A generated picture in the object store.

    Args:
        position: its number in the job, from 0; of a preview, the update.
        safety: its assessment; None where none was made.
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
    """Record a job's progress.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    job.step, job.total, job.loss, job.eta_s = step, total, _finite(loss), _finite(eta_s)
    append(session, job, "progress", {"step": step, "total": total, "loss": job.loss, "eta_s": job.eta_s})


def add_warning(session: Session, claim: Attempt, warning: JobWarning) -> None:
    """Add a warning that a job does not have yet.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job, new = fenced(session, claim), warning.to_json()
    if new not in job.warnings:
        job.warnings = [*job.warnings, new]


def set_result(session: Session, claim: Attempt, result: Versioned) -> None:
    """Store a job's result beside its pictures and metrics.

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
    """Store a chunk of a training's metrics, one value of each per step; values that are not finite become null.

    A chunk replaces one of the same attempt with the same first step: a training that fails within its worker
    continues from its checkpoint in the same attempt.

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
    """Record a stored checkpoint, from which another attempt continues.

    Returns:
        The key of the previous checkpoint, to be deleted after the commit.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    before = job.checkpoint_key
    # Only a later step is progress: an attempt that repeats a step and is lost counts as lost.
    if step > job.checkpoint_step:
        job.progress_attempt = job.attempt
    job.checkpoint_key, job.checkpoint_step = key, step
    return before if before != key else None


def forget_checkpoint(session: Session, claim: Attempt, warning: JobWarning) -> str | None:
    """Forget a checkpoint from which nothing can go on, and add a warning to the job.

    Returns:
        The key of the checkpoint, to be deleted after the commit.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    key, job.checkpoint_key, job.checkpoint_step, job.step = job.checkpoint_key, None, 0, 0
    job.warnings = [*job.warnings, warning.to_json()]
    append_status(session, job)
    return key


def add_image(session: Session, claim: Attempt, new: NewImage) -> Image:
    """Add a generated picture to a job; it replaces the one of an earlier attempt at its position.

    Raises:
        LeaseLostError: the attempt is over.
    """
    job = fenced(session, claim)
    query = select(Image).where(Image.job_id == job.id, Image.role == new.role, Image.position == new.position)
    image = session.scalars(query).one_or_none()
    if image is None:
        image = Image(id=new_id("img"), job_id=job.id, favourite=False)
        # Only another finished picture is progress; a preview is made again from the same checkpoint.
        if new.role == "image":
            job.progress_attempt = job.attempt
    for name, value in vars(new).items():
        setattr(image, name, value)
    image.safety = new.safety.to_json() if new.safety else None
    image.owner_id, image.search_text = job.owner_id, _search_text(job, new)
    image.created_at = now(session)
    session.add(image)
    if new.role == "preview":
        append(session, job, "preview", {"image": image.id})
    return image


def _search_text(job: Job, new: NewImage) -> str:
    prompt = new.prompt or job.input.get("prompt")
    return folded(prompt, *(concept.name for concept in job.concepts), None if new.seed is None else str(new.seed))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
