"""Trainings: pictures from the storage become an embedding in it, with checkpoints, a curve and previews on the way."""

import io
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from PIL import Image
from sqlalchemy.orm import Session

from dti.render import PictureWork, Slot
from dti.spec.prompts import PLAIN_PROMPTS
from dti.spec.registry import METHODS
from dti.training.selection import PictureAssessment
from dti.training.trainer import Run, TrainingWork, Update
from service import jobs
from service.jobs import Claim, NewImage, TrainingPicture
from worker.handlers import embeddings
from worker.handlers.base import Handler, ProgressMeter, now
from worker.loaded_model import LoadedModel
from worker.outputs.encoding import encode
from worker.outputs.plans import PicturePlan
from worker.outputs.provenance import Provenance
from worker.persistence import Persistence

CHECKPOINT_EVERY_S = 2.0
CHECKPOINT_EVERY_STEPS = 50
"""A checkpoint is due when both have passed: what a lost worker costs, against what storing costs everybody."""

_SAFETENSORS = {"extension": "safetensors", "content_type": "application/octet-stream"}


@dataclass
class CurveBuffer:
    """The stretch of a training's course that is not written down yet."""

    steps: list[int] = field(default_factory=list)
    losses: list[float | None] = field(default_factory=list)
    angles_rad: list[float | None] = field(default_factory=list)

    def add(self, step: int, loss: float, angle_rad: float) -> None:
        """Add what one update did."""
        self.steps.append(step)
        self.losses.append(loss)
        self.angles_rad.append(angle_rad)


@dataclass(frozen=True)
class Preview:
    """A picture of the concept as it was after an update, in the making."""

    step: int
    slot: Slot


class TrainHandler(Handler):
    """One training."""

    trainings = 1

    def __init__(self, claim: Claim, station: LoadedModel, ledger: Persistence) -> None:
        super().__init__(claim, station, ledger)
        self._settings = METHODS[claim.method].settings(**claim.input["training"])
        self._entered: Run | None = None
        self._course = ProgressMeter(claim.checkpoint_step, self._settings.steps)
        self._curve = CurveBuffer()
        self._previews: list[Preview] = []
        self._kept_at = time.monotonic()

    @property
    def pictures(self) -> int:
        """None that count: a preview is squeezed in."""
        return 0

    @property
    def rendering(self) -> int:
        """Its unfinished previews."""
        return len(self._previews)

    def begin(self) -> None:
        """Fetch the pictures and, where there is one, the checkpoint; enter the trainer."""
        key = self.claim.checkpoint_key
        checkpoint = self._ledger.fetch(key) if key else None
        self._entered = self.station.trainer.admit(self._work(), checkpoint)
        if verdicts := self._run.material.verdicts:
            told = {"training_images": _told(self.claim.pictures, verdicts)}
            self._ledger.write(lambda session: jobs.set_result(session, self.claim, told))
        if checkpoint is not None:
            # The attempt before may have ended between the update and its preview.
            self._preview_if_due()

    def settle(self, updates: Mapping[Run, Update]) -> bool:
        """Note the update, show previews, keep a checkpoint when one is due; the last update ends the job."""
        update = updates.get(self._run)
        if update is not None:
            self._note(update)
        images = list(self._finished_previews())
        if self._run.finished and not self._previews:
            self._end(images)
            return True
        if images or self._course.due():
            self._ledger.write(lambda session: self._report(session, images))
            self._curve = CurveBuffer()
        if self._checkpoint_is_due():
            self.keep()
        return False

    def leave(self) -> None:
        """Give up the training and its unfinished previews."""
        if self._entered in self.station.trainer.runs:
            self.station.trainer.dismiss(self._run)
        for preview in self._previews:
            if preview.slot in self.station.renderer.slots:
                self.station.renderer.dismiss(preview.slot)

    def keep(self) -> None:
        """Store a checkpoint, and note it, where any update was made since the last one."""
        step = self._run.step
        if step == self.claim.checkpoint_step:
            return
        room = f"checkpoints/{self.claim.job_id}"
        key = self._ledger.store(self.claim.owner_id, room, self._run.checkpoint(), **_SAFETENSORS)

        def write(session: Session) -> str | None:
            # With the curve up to here: who goes on from the checkpoint does not draw that again.
            self._write_curve(session)
            return jobs.save_checkpoint(session, self.claim, key=key, step=step)

        before = self._ledger.write(write)
        self._curve = CurveBuffer()
        self.claim = replace(self.claim, checkpoint_key=key, checkpoint_step=step)
        self._kept_at = time.monotonic()
        if before is not None:
            self._ledger.discard([before])

    @property
    def _run(self) -> Run:
        if self._entered is None:
            raise AssertionError("A training is settled only after it has begun.")
        return self._entered

    def _work(self) -> TrainingWork:
        start = self.claim.initial_embedding_key
        return TrainingWork(
            pictures=[Image.open(io.BytesIO(self._ledger.fetch(picture.key))) for picture in self.claim.pictures],
            captions=[picture.caption for picture in self.claim.pictures],
            class_word=self.claim.class_word,
            trigger=self.claim.concepts[0].name,
            method=self.claim.method,
            learnable_property=self.claim.learnable_property,
            settings=self._settings,
            initial=self._ledger.embedding(start) if start else None,
        )

    def _note(self, update: Update) -> None:
        """Remember what an update did. Raises its error where it was the training's last."""
        if update.error is not None:
            raise update.error
        self._course.step = self._run.step
        self._curve.add(self._run.step, update.loss, self._run.angle_rad)
        self._preview_if_due()

    def _preview_if_due(self) -> None:
        every = self._settings.preview_every
        if every and self._run.step % every == 0:
            self._previews.append(Preview(self._run.step, self.station.renderer.admit(self._preview_work())))

    def _preview_work(self) -> PictureWork:
        """The same prompt and noise every time, for the renderer that serves everybody."""
        entry, name = self.station.entry, self.claim.concepts[0].name
        pattern = self._settings.preview_prompt or PLAIN_PROMPTS[self.claim.learnable_property]
        return PictureWork(
            prompt=pattern.replace("{}", f"<{name}>"),
            concepts={name: self._run.embedding()},
            width=entry.width,
            height=entry.height,
            steps=entry.steps,
            guidance_scale=entry.guidance_scale,
            scheduler=entry.scheduler,
            seed=self.claim.input["training"]["seed"],
        )

    def _finished_previews(self) -> Iterator[NewImage]:
        """The previews that are ready, stored. Raises a slot's error where one could not be made."""
        for preview in [preview for preview in self._previews if preview.slot.finished]:
            self._previews.remove(preview)
            if preview.slot.picture is None:
                raise preview.slot.error or AssertionError("A finished slot has a picture or an error.")
            work = preview.slot.work
            picture, verdict = self.station.inspector.treat(preview.slot.picture, self.claim.safety)
            if picture is None:
                continue
            file = encode(picture, "png", self._provenance(preview))
            yield self._ledger.store_image(
                self.claim, "preview", preview.step, file, seed=work.seed, prompt=work.prompt, verdict=verdict
            )

    def _provenance(self, preview: Preview) -> Provenance:
        work = preview.slot.work
        made = PicturePlan(work=work).provenance(
            prompt=work.prompt,
            model=self.claim.model,
            fingerprint=self.station.family.fingerprint,
            concepts=dict.fromkeys(work.concepts),
        )
        return replace(made, more={"updates": preview.step})

    def _checkpoint_is_due(self) -> bool:
        steps, elapsed_s = self._run.step - self.claim.checkpoint_step, time.monotonic() - self._kept_at
        return steps >= CHECKPOINT_EVERY_STEPS and elapsed_s >= CHECKPOINT_EVERY_S

    def _report(self, session: Session, images: Sequence[NewImage]) -> None:
        for image in images:
            jobs.add_image(session, self.claim, image, now())
        self._write_curve(session)
        jobs.progress(
            session,
            self.claim,
            step=self._course.step,
            total=self._course.total,
            loss=self._run.loss,
            eta_s=self._course.eta_s(),
            now=now(),
        )

    def _write_curve(self, session: Session) -> None:
        if self._curve.steps:
            jobs.add_metrics(session, self.claim, self._curve.steps, self._curve.losses, self._curve.angles_rad)

    def _end(self, images: Sequence[NewImage]) -> None:
        embedding = self._run.embedding()
        made = embeddings.store(
            self._ledger, self.claim.owner_id, self.claim.room("embeddings"), embedding, self.station.family
        )

        # Two transactions: the last one begins with the concept, so that it cannot block who deletes that.
        self._ledger.write(lambda session: self._report(session, images))
        self._ledger.write(lambda session: jobs.finish_training(session, self.claim, made, now()))


def _told(pictures: Sequence[TrainingPicture], verdicts: Sequence[PictureAssessment]) -> list[dict[str, object]]:
    """What was thought of each picture, as JSON values."""
    return [
        {
            "id": picture.id,
            "filename": picture.filename,
            "kept": verdict.reason is None,
            **asdict(verdict),
            "duplicate_of": None if verdict.duplicate_of is None else pictures[verdict.duplicate_of].id,
        }
        for picture, verdict in zip(pictures, verdicts, strict=True)
    ]
