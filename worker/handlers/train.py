"""Trainings: from pictures to an embedding in the storage, with checkpoints, a training curve and previews."""

import io
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from PIL import Image
from sqlalchemy.orm import Session

from dti.errors import CheckpointError
from dti.render import PictureWork, Slot
from dti.spec.prompts import PLAIN_PROMPTS
from dti.training.selection import PictureAssessment
from dti.training.trainer import Run, TrainingWork, Update
from service import jobs
from service.errors import ObjectMissingError
from service.jobs import Claim, NewImage, TrainingPicture
from service.kinds.jobs import TrainingImage, TrainInput, TrainResult
from service.kinds.warnings import JobWarning
from worker.handlers import embeddings
from worker.handlers.base import Handler, ProgressMeter
from worker.loaded_model import LoadedModel
from worker.outputs.encoding import encode
from worker.outputs.plans import PicturePlan
from worker.outputs.provenance import Provenance
from worker.persistence import Persistence

CHECKPOINT_EVERY_S = 2.0
"""Between two checkpoints, however many updates that is: repeated work after a lost worker, weighed against traffic."""

log = logging.getLogger(__name__)

_SAFETENSORS = {"extension": "safetensors", "content_type": "application/octet-stream"}


@dataclass
class CurveBuffer:
    """Points of the training curve that are not in the database yet."""

    steps: list[int] = field(default_factory=list)
    losses: list[float | None] = field(default_factory=list)
    angles_rad: list[float | None] = field(default_factory=list)

    def add(self, step: int, loss: float, angle_rad: float) -> None:
        """Append the point of one update."""
        self.steps.append(step)
        self.losses.append(loss)
        self.angles_rad.append(angle_rad)


@dataclass(frozen=True)
class Preview:
    """A picture in the renderer that shows the concept after an update."""

    step: int
    slot: Slot


class TrainHandler(Handler[TrainInput]):
    """One training."""

    trainings = 1

    def __init__(self, claim: Claim[TrainInput], loaded_model: LoadedModel, persistence: Persistence) -> None:
        super().__init__(claim, loaded_model, persistence)
        self._settings = claim.input.training
        self._admitted_run: Run | None = None
        self._progress = ProgressMeter(claim.checkpoint_step, self._settings.steps)
        self._curve = CurveBuffer()
        self._previews: list[Preview] = []
        self._checkpointed_at = time.monotonic()

    @property
    def slots(self) -> int:
        """The training; previews are rendered beyond the capacity, so that they never wait for it."""
        return self.trainings

    @property
    def active_pictures(self) -> int:
        """Unfinished previews."""
        return len(self._previews)

    def start(self) -> None:
        """Fetch the pictures and the checkpoint, if any; enter the trainer, without a checkpoint that is of no use."""
        try:
            checkpoint = self._stored_checkpoint()
            self._admitted_run = self.loaded_model.trainer.admit(self._work(), checkpoint)
        except CheckpointError as error:
            self._restart(error)
            checkpoint = None
            self._admitted_run = self.loaded_model.trainer.admit(self._work())
        if assessments := self._run.training_set.assessments:
            result = TrainResult(training_images=_training_images(self.claim.pictures, assessments))
            self._persistence.write(lambda session: jobs.set_result(session, self.claim, result))
        if checkpoint is not None:
            # The previous attempt may have ended between the update and its preview.
            self._preview_if_due()

    def collect(self, updates: Mapping[Run, Update]) -> bool:
        """Record the update, store previews and a due checkpoint; the last update ends the job."""
        update = updates.get(self._run)
        if update is not None:
            self._record(update)
        images = list(self._finished_previews())
        if self._run.finished and not self._previews:
            self._finish(images)
            return True
        if images or self._progress.due():
            self._persistence.write(lambda session: self._report(session, images))
            self._curve = CurveBuffer()
        if self._checkpoint_is_due():
            self.checkpoint()
        return False

    def abort(self) -> None:
        """Remove the training and its unfinished previews from the engines."""
        # Finished and diverged runs have left the trainer by themselves, as have finished previews the renderer.
        if self._admitted_run in self.loaded_model.trainer.runs:
            self.loaded_model.trainer.dismiss(self._run)
        for preview in self._previews:
            if preview.slot in self.loaded_model.renderer.slots:
                self.loaded_model.renderer.dismiss(preview.slot)

    def checkpoint(self) -> None:
        """Store a checkpoint if any update was made since the last one."""
        step = self._run.step
        if step == self.claim.checkpoint_step:
            return
        prefix = f"checkpoints/{self.claim.job_id}"
        key = self._persistence.store(self.claim.owner_id, prefix, self._run.checkpoint(), **_SAFETENSORS)

        def write(session: Session) -> str | None:
            # The curve up to the checkpoint, in the same transaction: the next attempt continues after both.
            self._write_curve(session)
            return jobs.save_checkpoint(session, self.claim, key=key, step=step)

        previous_key = self._persistence.write(write)
        self._curve = CurveBuffer()
        self.claim = replace(self.claim, checkpoint_key=key, checkpoint_step=step)
        self._checkpointed_at = time.monotonic()
        if previous_key is not None:
            self._persistence.delete([previous_key])

    def _stored_checkpoint(self) -> bytes | None:
        """The job's checkpoint; None without one. Raises CheckpointError where its object is missing."""
        if self.claim.checkpoint_key is None:
            return None
        try:
            return self._persistence.fetch(self.claim.checkpoint_key)
        except ObjectMissingError as error:
            raise CheckpointError("The checkpoint is missing from the object store.") from error

    def _restart(self, error: CheckpointError) -> None:
        """Forget the checkpoint, from which nothing can go on, and tell it: the training starts again at update 0."""
        log.warning("%s starts again at update 0: %s", self.claim.job_id, error)
        warning = JobWarning(
            code="checkpoint_unusable",
            message=f"The training started again at update 0, not at {self.claim.checkpoint_step}: {error}",
        )
        key = self._persistence.write(lambda session: jobs.forget_checkpoint(session, self.claim, warning))
        self.claim = replace(self.claim, checkpoint_key=None, checkpoint_step=0)
        self._progress = ProgressMeter(0, self._settings.steps)
        if key is not None:
            self._persistence.delete([key])

    @property
    def _run(self) -> Run:
        if self._admitted_run is None:
            raise AssertionError("The training has not been started.")
        return self._admitted_run

    def _work(self) -> TrainingWork:
        task, concept = self.claim.input, self.claim.concepts[0]
        initial_key = concept.embedding_key if task.start == "current" else None
        return TrainingWork(
            pictures=[Image.open(io.BytesIO(self._persistence.fetch(picture.key))) for picture in self.claim.pictures],
            captions=[picture.caption for picture in self.claim.pictures],
            original_sizes=[picture.original_size for picture in self.claim.pictures],
            class_word=task.class_word,
            trigger=concept.name,
            method=task.method,
            learnable_property=task.learnable_property,
            settings=self._settings,
            initial=self._persistence.embedding(initial_key) if initial_key else None,
        )

    def _record(self, update: Update) -> None:
        """Record an update. Raises the update's error if it broke the training."""
        if update.error is not None:
            raise update.error
        self._progress.step = self._run.step
        self._curve.add(self._run.step, update.loss, update.angle_rad)
        self._preview_if_due()

    def _preview_if_due(self) -> None:
        every = self._settings.preview_every
        if every and self._run.step % every == 0:
            self._previews.append(Preview(self._run.step, self.loaded_model.renderer.admit(self._preview_work())))

    def _preview_work(self) -> PictureWork:
        """The preview after the current update; prompt and noise are the same for all previews."""
        entry, name = self.loaded_model.entry, self.claim.concepts[0].name
        template = self._settings.preview_prompt or PLAIN_PROMPTS[self.claim.input.learnable_property]
        return PictureWork(
            prompt=template.replace("{}", f"<{name}>"),
            concepts={name: self._run.embedding()},
            width=entry.width,
            height=entry.height,
            steps=entry.steps,
            guidance_scale=entry.guidance_scale,
            scheduler=entry.scheduler,
            seed=_drawn(self._settings.seed),
        )

    def _finished_previews(self) -> Iterator[NewImage]:
        """Store the finished previews. Raises the error of a slot that failed."""
        for preview in [preview for preview in self._previews if preview.slot.finished]:
            self._previews.remove(preview)
            if preview.slot.picture is None:
                raise preview.slot.error or AssertionError("A finished slot has a picture or an error.")
            work = preview.slot.work
            picture, verdict = self.loaded_model.safety_filter.apply(preview.slot.picture, self.claim.safety)
            if picture is None:
                continue
            file = encode(picture, "png", self._provenance(preview))
            yield self._persistence.store_image(
                self.claim, "preview", preview.step, file, seed=work.seed, prompt=work.prompt, verdict=verdict
            )

    def _provenance(self, preview: Preview) -> Provenance:
        work = preview.slot.work
        provenance = PicturePlan(work=work).provenance(
            prompt=work.prompt,
            model=self.claim.model,
            fingerprint=self.loaded_model.family.fingerprint,
            concepts=dict.fromkeys(work.concepts),
        )
        return replace(provenance, more={"updates": preview.step})

    def _checkpoint_is_due(self) -> bool:
        steps, elapsed_s = self._run.step - self.claim.checkpoint_step, time.monotonic() - self._checkpointed_at
        return steps > 0 and elapsed_s >= CHECKPOINT_EVERY_S

    def _report(self, session: Session, images: Sequence[NewImage]) -> None:
        for image in images:
            jobs.add_image(session, self.claim, image)
        self._write_curve(session)
        jobs.progress(
            session,
            self.claim,
            step=self._progress.step,
            total=self._progress.total,
            loss=self._run.loss,
            eta_s=self._progress.eta_s(),
        )

    def _write_curve(self, session: Session) -> None:
        if self._curve.steps:
            jobs.add_metrics(session, self.claim, self._curve.steps, self._curve.losses, self._curve.angles_rad)

    def _finish(self, images: Sequence[NewImage]) -> None:
        embedding, prefix = self._run.embedding(), self.claim.prefix("embeddings")
        stored = embeddings.store(self._persistence, self.claim.owner_id, prefix, embedding, self.loaded_model.family)
        # Two transactions: `finish_training` must lock the concept before the job, as a deletion does, or both block.
        self._persistence.write(lambda session: self._report(session, images))
        self._persistence.write(lambda session: jobs.finish_training(session, self.claim, stored))


def _training_images(
    pictures: Sequence[TrainingPicture], assessments: Sequence[PictureAssessment]
) -> tuple[TrainingImage, ...]:
    """The selection's assessment of each picture, with ids in place of positions."""
    return tuple(
        TrainingImage(
            id=picture.id,
            filename=picture.filename,
            kept=assessment.reason is None,
            sharpness=assessment.sharpness,
            size=assessment.size,
            agreement=assessment.agreement,
            score=assessment.score,
            duplicate_of=None if assessment.duplicate_of is None else pictures[assessment.duplicate_of].id,
            reason=assessment.reason,
        )
        for picture, assessment in zip(pictures, assessments, strict=True)
    )


def _drawn(seed: int | None) -> int:
    if seed is None:
        raise AssertionError("A training's seed is drawn at its submission.")
    return seed
