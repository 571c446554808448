"""Generations: pictures of one prompt, each from its own noise."""

from collections.abc import Iterator, Sequence

from PIL import Image

from service.jobs import NewImage
from service.kinds.jobs import GenerateInput
from worker.handlers.pictures import PicturesHandler
from worker.outputs import plans
from worker.outputs.plans import PicturePlan


class GenerateHandler(PicturesHandler[GenerateInput]):
    """One plan a picture; no composites."""

    def plans(self) -> Sequence[PicturePlan]:
        """The requested pictures."""
        return plans.generation(self.claim.input, self._embeddings())

    def composites(self, pictures: Sequence[Image.Image]) -> Iterator[NewImage]:  # noqa: ARG002 - the common interface
        """None."""
        return iter(())
