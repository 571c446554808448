"""Jobs whose result is pictures: they enter the renderer as there is room, and are stored as they are finished.

Which pictures, and what is put together from them, is each kind's own.
"""

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter

from PIL import Image
from sqlalchemy.orm import Session

from dti.embeddings.embedding import Embedding
from dti.render import Slot
from dti.training.trainer import Run, Update
from service import jobs
from service.errors import OutputRefusedError
from service.jobs import Claim, NewImage
from worker.handlers.base import Handler, ProgressMeter, now
from worker.loaded_model import LoadedModel
from worker.outputs.encoding import encode
from worker.outputs.plans import PicturePlan
from worker.outputs.provenance import Provenance
from worker.persistence import Persistence


class PicturesHandler(Handler):
    """Renders the frames of a job, in their order."""

    whole = False
    """Whether it is nothing without any one of its pictures."""

    def __init__(self, claim: Claim, station: LoadedModel, ledger: Persistence) -> None:
        super().__init__(claim, station, ledger)
        self._frames: Sequence[PicturePlan] = ()
        self._waiting: deque[int] = deque()
        self._slots: dict[int, Slot] = {}
        self._pictures: dict[int, Image.Image | None] = {}
        self._course = ProgressMeter(0, claim.total)

    @abstractmethod
    def frames(self) -> Sequence[PicturePlan]:
        """What is to be rendered."""

    @abstractmethod
    def extras(self, pictures: Sequence[Image.Image]) -> Iterator[NewImage]:
        """What is put together, and stored, once all pictures are there."""

    @property
    def pictures(self) -> int:
        """How many are not finished."""
        return len(self._waiting) + len(self._slots)

    @property
    def rendering(self) -> int:
        """Those that have entered and are not stored."""
        return len(self._slots)

    def begin(self) -> None:
        """Fetch the concepts and enter the renderer as far as there is room."""
        self._frames = self.frames()
        self._waiting.extend(range(len(self._frames)))
        self._enter()

    def settle(self, updates: Mapping[Run, Update]) -> bool:  # noqa: ARG002 - one border for all kinds of jobs
        """Store the pictures that are finished; the last ones end the job."""
        finished = [self._finished(position, slot) for position, slot in list(self._slots.items()) if slot.finished]
        images = [image for image in finished if image is not None]
        self._enter()
        if len(self._pictures) == len(self._frames):
            self._end(images)
            return True
        self._course.step = self._steps_done()
        if images or self._course.due():
            self._ledger.write(lambda session: self._report(session, images))
        return False

    def leave(self) -> None:
        """Give up the pictures that are not finished."""
        for slot in self._slots.values():
            self.station.renderer.dismiss(slot)
        self._slots.clear()

    def keep(self) -> None:
        """Nothing: a picture is made anew, the same, in little time."""

    def _embeddings(self) -> dict[str, Embedding]:
        """The job's concepts by name, as they were when the job was made."""
        return {pin.name: self._ledger.embedding(pin.embedding_key) for pin in self.claim.concepts if pin.embedding_key}

    def _enter(self) -> None:
        renderer = self.station.renderer
        while self._waiting and len(renderer.slots) < self.station.picture_room:
            position = self._waiting[0]
            self._slots[position] = renderer.admit(self._frames[position].work)
            self._waiting.popleft()

    def _finished(self, position: int, slot: Slot) -> NewImage | None:
        """The picture of a slot, stored; None where it may not be shown. Raises the slot's error if there is none."""
        del self._slots[position]
        if slot.picture is None:
            raise slot.error or AssertionError("A finished slot has a picture or an error.")
        picture, verdict = self.station.inspector.treat(slot.picture, self.claim.safety)
        self._pictures[position] = picture
        if picture is None:
            return None
        frame, prompt = self._frames[position], self.claim.input["prompt"]
        file = encode(picture, self.claim.input["format"], self._provenance(frame))
        return self._ledger.store_image(
            self.claim,
            "image",
            position,
            file,
            seed=frame.work.seed,
            prompt=prompt,
            share=frame.share,
            verdict=verdict,
        )

    def _provenance(self, frame: PicturePlan) -> Provenance:
        return frame.provenance(
            prompt=self.claim.input["prompt"],
            model=self.claim.model,
            fingerprint=self.station.family.fingerprint,
            concepts={pin.name: pin.embedding_sha256 for pin in self.claim.concepts},
        )

    def _steps_done(self) -> int:
        finished = sum(self._frames[position].work.steps for position in self._pictures)
        return finished + sum(slot.step for slot in self._slots.values())

    def _report(self, session: Session, images: Sequence[NewImage]) -> None:
        for image in images:
            jobs.add_image(session, self.claim, image, now())
        jobs.progress(
            session,
            self.claim,
            step=self._course.step,
            total=self._course.total,
            loss=None,
            eta_s=self._course.eta_s(),
            now=now(),
        )

    def _end(self, images: Sequence[NewImage]) -> None:
        shown = [picture for _, picture in sorted(self._pictures.items(), key=itemgetter(0)) if picture is not None]
        if len(shown) < (len(self._frames) if self.whole else 1):
            raise OutputRefusedError(len(self._frames) - len(shown), len(self._frames))
        extras = list(self.extras(shown))

        def write(session: Session) -> None:
            for image in (*images, *extras):
                jobs.add_image(session, self.claim, image, now())
            jobs.succeed(session, self.claim, now())

        self._ledger.write(write)
