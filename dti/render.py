"""The renderer: pictures of many requests, denoised together, one step at a time.

Owns what a picture in the making is (its latents, schedule, guidance and place) and the batch that all of them share.
Requests differ in prompt, concepts, steps, scheduler, guidance and seed, and join or leave between steps. It knows no
model family and no queue; it calls nobody back.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from PIL import Image
from torch import Tensor

from dti.embedding import Embedding
from dti.errors import DTIError, InvalidSettingError, RenderingDivergedError
from dti.families.base import Conditioning, Family
from dti.schedules import Schedule
from dti.spec import parse_prompt
from dti.tokens import SplicedPrompt, StandIn, lay_out


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureWork:
    """One picture to make.

    Attributes:
        prompt: with concepts as `<name>`.
        negative_prompt: what guidance leads away from; may name concepts too.
        concepts: the embeddings by the names that the prompts use.
        width: in pixels.
        height: in pixels.
        steps: denoising steps.
        guidance_scale: 1 is none.
        scheduler: one of the family's.
        seed: of the first noise.
    """

    prompt: str
    negative_prompt: str = ""
    concepts: Mapping[str, Embedding]
    width: int
    height: int
    steps: int
    guidance_scale: float
    scheduler: str
    seed: int


class Slot:
    """A picture in the making.

    Attributes:
        work: what was asked.
        step: steps done.
        total: steps in all.
        picture: the picture, once it is finished.
        error: why there will be none.
    """

    def __init__(self, work: PictureWork, schedule: Schedule, latents: Tensor, conditioning: Conditioning) -> None:
        self.work = work
        self.step = 0
        self.total = work.steps
        self.picture: Image.Image | None = None
        self.error: DTIError | None = None

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it, well or badly."""
        return self.picture is not None or self.error is not None


class Renderer:
    """The pictures in the making on one model. One thread owns it.

    Alone a picture is the same bit for bit every time; in company it differs by rounding (1/255 at most).

    Attributes:
        slots: in order of admission.
    """

    def __init__(self, family: Family) -> None:
        self.slots: list[Slot] = []

    def admit(self, work: PictureWork) -> Slot:
        """Take a picture on; its prompts are read here, once.

        Raises:
            PromptTooLongError: a prompt does not fit.
            UnknownTriggerError: a prompt names a concept that is not given.
            EmbeddingMismatchError: a concept belongs to another model.
            UnknownSchedulerError: the family has no such scheduler.
            InvalidSettingError: a size that the model cannot draw.
        """
        raise NotImplementedError

    def advance(self) -> list[Slot]:
        """One denoising step of every picture, in one forward of the denoiser per picture size.

        Returns:
            The pictures that finished in this step; they are no longer among the slots.
        """
        raise NotImplementedError

    def dismiss(self, slot: Slot) -> None:
        """Give a picture up."""
        self.slots.remove(slot)
