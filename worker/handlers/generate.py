"""Generations: pictures of one prompt, each from its own noise."""

from collections.abc import Iterator, Sequence

from PIL import Image

from service.jobs import NewImage
from worker.handlers.pictures import PicturesHandler
from worker.outputs import plans
from worker.outputs.plans import PicturePlan


class GenerateHandler(PicturesHandler):
    """One frame a picture, and nothing besides."""

    def frames(self) -> Sequence[PicturePlan]:
        """The pictures that were asked for."""
        return plans.generation(self.claim.input, self._embeddings())

    def extras(self, pictures: Sequence[Image.Image]) -> Iterator[NewImage]:  # noqa: ARG002 - one border for all kinds
        """Nothing."""
        return iter(())
