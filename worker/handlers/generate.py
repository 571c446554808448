"""Generations: pictures of one prompt, each from its own noise."""

from collections.abc import Iterator, Sequence

from PIL import Image

from service.jobs import NewImage
from worker import frames
from worker.frames import Frame
from worker.handlers.pictures import PicturesHandler


class GenerateHandler(PicturesHandler):
    """One frame a picture, and nothing besides."""

    def frames(self) -> Sequence[Frame]:
        """The pictures that were asked for."""
        return frames.generation(self.claim.input, self._embeddings())

    def extras(self, pictures: Sequence[Image.Image]) -> Iterator[NewImage]:  # noqa: ARG002 - one border for all kinds
        """Nothing."""
        return iter(())
