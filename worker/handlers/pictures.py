"""Jobs that produce pictures: plans enter the renderer as slots become free, finished pictures are stored at once.

Each kind decides which pictures it plans and which composites it makes from them.
"""

import io
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, TypeVar

from PIL import Image
from sqlalchemy.orm import Session

from dti.embeddings.embedding import Embedding
from dti.training.trainer import Run, Update
from service import jobs
from service.concepts import compatibility
from service.errors import ObjectMissingError, OutputRefusedError
from service.jobs import Claim, NewImage
from service.kinds.jobs import PicturesInput
from worker.handlers.base import Handler, ProgressMeter
from worker.loaded_model import LoadedModel
from worker.outputs.encoding import encode
from worker.outputs.plans import PicturePlan
from worker.outputs.provenance import Provenance
from worker.persistence import Persistence

if TYPE_CHECKING:
    from concurrent.futures import Future

    from dti.render import Slot

PicturesInputT = TypeVar("PicturesInputT", bound=PicturesInput)


class PicturesHandler(Handler[PicturesInputT]):
    """Renders the picture plans of a job, in order."""

    requires_all = False
    """Whether every picture must succeed."""

    def __init__(self, claim: Claim[PicturesInputT], loaded_model: LoadedModel, persistence: Persistence) -> None:
        super().__init__(claim, loaded_model, persistence)
        self._plans: Sequence[PicturePlan] = ()
        self._waiting: deque[int] = deque()
        self._slots: dict[int, Slot] = {}
        self._pictures: dict[int, Image.Image | None] = {}
        self._finished_before: set[int] = set()
        self._rendered: dict[int, Image.Image] = {}
        self._rendered_count = 0
        self._delivery: Future[bool] | None = None
        self._progress = ProgressMeter(0, claim.total)

    @abstractmethod
    def plans(self) -> Sequence[PicturePlan]:
        """The pictures to render."""

    @abstractmethod
    def composites(self, pictures: Sequence[Image.Image]) -> Iterator[NewImage]:
        """Files made from the finished pictures, such as an animation; stored as they are made."""

    @property
    def composes(self) -> bool:
        """Whether files are made from the finished pictures."""
        return False

    @property
    def slots(self) -> int:
        """One for each picture that is not finished."""
        return len(self._waiting) + len(self._slots)

    @property
    def active(self) -> bool:
        """Whether a picture is not rendered yet."""
        return bool(self._waiting or self._slots)

    @property
    def active_pictures(self) -> int:
        """Pictures in the renderer."""
        return len(self._slots)

    def start(self) -> None:
        """Fetch the concepts and fill the free slots of the renderer with pictures that are not finished yet."""
        self._plans = self.plans()
        self._warn_of_other_weights()
        self._take_finished()
        self._waiting.extend(position for position in range(len(self._plans)) if not self._has(position))
        self._progress = ProgressMeter(self._steps_done(), self.claim.total)
        self._fill_slots()

    def collect(self, updates: Mapping[Run, Update]) -> bool:  # noqa: ARG002 - the common interface
        """Have finished pictures stored while the device goes on; the last ones end the job."""
        self._take_rendered()
        self._fill_slots()
        if self._delivery is not None:
            if not self._delivery.done():
                return False
            if self._delivery.result():
                return True
            self._delivery = None
        last = not self.active
        if last or self._rendered or self._progress.due():
            rendered, self._rendered = self._rendered, {}
            self._progress.step = self._steps_done()
            self._delivery = self._persistence.deliver(partial(self._deliver, rendered, last=last))
        return False

    def abort(self) -> None:
        """Remove the unfinished pictures from the renderer."""
        for slot in self._slots.values():
            self.loaded_model.renderer.dismiss(slot)
        self._slots.clear()

    def checkpoint(self) -> None:
        """Store the finished pictures; the others are rendered again in seconds."""
        if self._delivery is not None and self._delivery.result():
            return
        rendered, self._rendered = self._rendered, {}
        if rendered:
            self._deliver(rendered, last=False)

    def _embeddings(self) -> dict[str, Embedding]:
        """The job's concepts by name, in the version that was pinned at submission."""
        return {
            pin.name: self._persistence.embedding(pin.embedding_key) for pin in self.claim.concepts if pin.embedding_key
        }

    def _take_finished(self) -> None:
        """Keep the pictures of earlier attempts. Those of composites are read, where their files have lost nothing."""
        for picture in self.claim.finished:
            if not self.composes:
                self._finished_before.add(picture.position)
            elif self.claim.input.rendering.format == "png":
                with suppress(ObjectMissingError):
                    data = self._persistence.fetch(picture.key)
                    self._pictures[picture.position] = Image.open(io.BytesIO(data)).convert("RGB")
                    self._rendered_count += 1

    def _has(self, position: int) -> bool:
        """Whether a picture is finished, or withheld by the safety policy."""
        return position in self._pictures or position in self._finished_before

    def _warn_of_other_weights(self) -> None:
        """Warn of concepts that were trained on another checkpoint; only here are their fingerprints known for sure."""
        own, model = self.loaded_model.family.fingerprint, self.claim.model
        for name, embedding in self._embeddings().items():
            if embedding.fingerprint != own:
                warning = compatibility.warning(name, model)
                self._persistence.write(partial(jobs.add_warning, claim=self.claim, warning=warning))

    def _fill_slots(self) -> None:
        renderer = self.loaded_model.renderer
        while self._waiting and self.loaded_model.accepts(self._plans[self._waiting[0]].work):
            position = self._waiting[0]
            self._slots[position] = renderer.admit(self._plans[position].work)
            self._waiting.popleft()

    def _take_rendered(self) -> None:
        """Take finished pictures from the renderer. Raises the error of a slot that failed."""
        for position in [position for position, slot in self._slots.items() if slot.finished]:
            slot = self._slots.pop(position)
            if slot.picture is None:
                raise slot.error or AssertionError("A finished slot has a picture or an error.")
            self._rendered[position] = slot.picture
            self._rendered_count += 1

    def _deliver(self, rendered: Mapping[int, Image.Image], *, last: bool) -> bool:
        """Store pictures and write them down with the progress, in a thread; returns whether the job has ended."""
        stored = (self._store(position, picture) for position, picture in rendered.items())
        images = [image for image in stored if image is not None]
        if last:
            self._finish(images)
        else:
            self._persistence.delivering.write(lambda session: self._report(session, images))
        return last

    def _store(self, position: int, rendered: Image.Image) -> NewImage | None:
        """Store a picture; None when the safety policy withholds it."""
        picture, verdict = self.loaded_model.safety_filter.apply(rendered, self.claim.safety)
        self._pictures[position] = picture
        if picture is None:
            return None
        plan, prompt = self._plans[position], self.claim.input.prompt
        file = encode(picture, self.claim.input.rendering.format, self._provenance(plan))
        return self._persistence.delivering.store_image(
            self.claim,
            "image",
            position,
            file,
            seed=plan.work.seed,
            prompt=prompt,
            share=plan.share,
            verdict=verdict,
        )

    def _provenance(self, plan: PicturePlan) -> Provenance:
        return plan.provenance(
            prompt=self.claim.input.prompt,
            model=self.claim.model,
            fingerprint=self.loaded_model.family.fingerprint,
            concepts={pin.name: pin.embedding_sha256 for pin in self.claim.concepts},
        )

    def _steps_done(self) -> int:
        finished = self.claim.input.rendering.calls * (self._rendered_count + len(self._finished_before))
        return finished + sum(slot.step for slot in self._slots.values())

    def _report(self, session: Session, images: Sequence[NewImage]) -> None:
        for image in images:
            jobs.add_image(session, self.claim, image)
        jobs.progress(
            session,
            self.claim,
            step=self._progress.step,
            total=self._progress.total,
            loss=None,
            eta_s=self._progress.eta_s(),
        )

    def _finish(self, images: Sequence[NewImage]) -> None:
        in_order = sorted(self._pictures.items(), key=itemgetter(0))
        shown = [picture for _, picture in in_order if picture is not None]
        number = len(shown) + len(self._finished_before)
        if number < (len(self._plans) if self.requires_all else 1):
            raise OutputRefusedError(len(self._plans) - number, len(self._plans))
        composites = list(self.composites(shown))

        def write(session: Session) -> None:
            for image in (*images, *composites):
                jobs.add_image(session, self.claim, image)
            jobs.succeed(session, self.claim)

        self._persistence.delivering.write(write)
