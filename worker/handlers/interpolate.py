"""Interpolations: one prompt at several points between two concepts, all from the same noise."""

from collections.abc import Iterator, Sequence

from PIL import Image

from dti.pictures import contact_sheet, to_animation
from service.database.tables import Role
from service.jobs import NewImage
from service.kinds.jobs import InterpolateInput
from worker.handlers.pictures import PicturesHandler
from worker.outputs import plans
from worker.outputs.encoding import PictureFile, encode
from worker.outputs.plans import PicturePlan

SHEET_COLUMNS = 8


class InterpolateHandler(PicturesHandler[InterpolateInput]):
    """One plan a share; on request an animation and a contact sheet."""

    requires_all = True

    @property
    def composes(self) -> bool:
        """Whether an animation or a contact sheet is requested."""
        settings = self.claim.input.interpolation
        return settings.animation is not None or settings.contact_sheet

    def plans(self) -> Sequence[PicturePlan]:
        """A picture at every share between the job's first two concepts."""
        embeddings = self._embeddings()
        ends = [embeddings[pin.name] for pin in self.claim.concepts[:2]]
        return plans.interpolation(self.claim.input, ends, embeddings)

    def composites(self, pictures: Sequence[Image.Image]) -> Iterator[NewImage]:
        """The animation and the contact sheet, as requested."""
        shares, settings = self.claim.input.shares, self.claim.input.interpolation
        provenance = plans.sequence_provenance(self._provenance(self._plans[0]), shares)
        if settings.animation is not None:
            data = to_animation(pictures, settings.animation, provenance.infotext())
            yield self._composite("animation", PictureFile(data, settings.animation, *pictures[0].size))
        if settings.contact_sheet:
            sheet = contact_sheet(pictures, SHEET_COLUMNS, [f"{share:.2f}" for share in shares])
            yield self._composite("contact_sheet", encode(sheet, "png", provenance))

    def _composite(self, role: Role, file: PictureFile) -> NewImage:
        return self._persistence.delivering.store_image(
            self.claim, role, 0, file, seed=self.claim.input.rendering.seed, prompt=self.claim.input.prompt
        )
