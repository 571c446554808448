"""Generations: pictures of one prompt, each from its own noise."""

from collections.abc import Iterator, Sequence

from PIL import Image

from dti.render import PictureWork
from service.jobs import NewImage
from worker.handlers.pictures import Frame, PicturesHandler


class GenerateHandler(PicturesHandler):
    """The i-th picture uses seed + i."""

    def frames(self) -> Sequence[Frame]:
        """One frame a picture."""
        asked, embeddings = self.claim.input, self._embeddings()
        return [
            Frame(
                work=PictureWork(
                    prompt=asked["prompt"],
                    negative_prompt=asked["negative_prompt"],
                    concepts=embeddings,
                    width=asked["width"],
                    height=asked["height"],
                    steps=asked["steps"],
                    guidance_scale=asked["guidance_scale"],
                    scheduler=asked["scheduler"],
                    seed=asked["seed"] + number,
                )
            )
            for number in range(asked["num_images"])
        ]

    def extras(self, pictures: Sequence[Image.Image]) -> Iterator[NewImage]:  # noqa: ARG002 - one border for all kinds
        """Nothing."""
        return iter(())
