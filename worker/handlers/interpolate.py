"""Interpolations: one prompt at several points between two concepts, all from the same noise."""

from collections.abc import Iterator, Sequence

from PIL import Image

from dti.pictures import contact_sheet, to_animation
from service.database.tables import Role
from service.jobs import NewImage
from worker.handlers.pictures import PicturesHandler
from worker.outputs import plans
from worker.outputs.encoding import PictureFile, encode
from worker.outputs.plans import PicturePlan

SHEET_COLUMNS = 8


class InterpolateHandler(PicturesHandler):
    """One frame a share; on request an animation and a contact sheet of them."""

    whole = True

    def frames(self) -> Sequence[PicturePlan]:
        """The job's first two concepts are those between which its shares lie."""
        embeddings = self._embeddings()
        ends = [embeddings[pin.name] for pin in self.claim.concepts[:2]]
        return plans.interpolation(self.claim.input, ends, embeddings)

    def extras(self, pictures: Sequence[Image.Image]) -> Iterator[NewImage]:
        """The animation and the contact sheet where they are asked for."""
        asked = self.claim.input
        provenance = plans.of_all(self._provenance(self._frames[0]), asked["shares"])
        if asked["animation"] is not None:
            data = to_animation(pictures, asked["animation"], provenance.parameters())
            yield self._extra("animation", PictureFile(data, asked["animation"], *pictures[0].size))
        if asked["contact_sheet"]:
            sheet = contact_sheet(pictures, SHEET_COLUMNS, [f"{share:.2f}" for share in asked["shares"]])
            yield self._extra("contact_sheet", encode(sheet, "png", provenance))

    def _extra(self, role: Role, file: PictureFile) -> NewImage:
        return self._ledger.store_image(
            self.claim, role, 0, file, seed=self.claim.input["seed"], prompt=self.claim.input["prompt"]
        )
