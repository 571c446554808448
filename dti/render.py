"""The renderer: pictures of many requests, denoised together, one step at a time.

Owns what a picture in the making is (its latents, schedule, guidance and conditioning) and the batch that all of them
share. Requests differ in prompt, concepts, steps, scheduler, guidance and seed, and join or leave between steps. It
knows no model family and no queue; it calls nobody back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from dti.embeddings.embedding import Embedding
from dti.errors import DTIError, RenderingDivergedError
from dti.families.base import Conditioning, Family
from dti.pictures import View
from dti.spec.prompts import parse_prompt
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
        guidance_scale: as the family counts it; see `Family.guidance`.
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


@dataclass(kw_only=True, eq=False, repr=False)
class Slot:
    """A picture in the making.

    Attributes:
        work: what was asked.
        scale: of the difference between prompt and negative prompt; see `Family.guidance`.
        conditioning: what the denoiser reads: the prompt and, where it is guided, the negative prompt behind it.
        table: per step the time and the coefficients, `(steps, 6)`.
        latents: the picture so far, `(1, c, h, w)`.
        clean: what the last step thought that it would become.
        step: steps done.
        picture: the picture, once it is finished.
        error: why there will be none.
    """

    work: PictureWork
    scale: float
    conditioning: Conditioning
    table: Tensor
    latents: Tensor
    clean: Tensor
    step: int = 0
    picture: Image.Image | None = None
    error: DTIError | None = None

    @property
    def guided(self) -> bool:
        """Whether the negative prompt plays a part."""
        return self.scale != 1

    @property
    def total(self) -> int:
        """Steps in all."""
        return self.work.steps

    @property
    def finished(self) -> bool:
        """Whether nothing more will happen to it, well or badly."""
        return self.picture is not None or self.error is not None


class Renderer:
    """The pictures in the making on one model. One thread owns it.

    Alone a picture is the same bit for bit every time; in company it differs by rounding, 1/255 at most.

    Attributes:
        slots: in order of admission.
    """

    def __init__(self, family: Family) -> None:
        self.slots: list[Slot] = []
        self._family = family
        self._batches: list[_Batch] = []

    @torch.inference_mode()
    def admit(self, work: PictureWork) -> Slot:
        """Take a picture on; its prompts are read here, once.

        Raises:
            PromptTooLongError: a prompt does not fit.
            UnknownTriggerError: a prompt names a concept that is not given.
            EmbeddingMismatchError: a concept belongs to another model.
            UnknownSchedulerError: the family has no such scheduler.
            InvalidSettingError: a size that the model cannot draw.
        """
        family = self._family
        family.check_size(width=work.width, height=work.height)
        schedule = family.schedule(work.scheduler, work.steps, width=work.width, height=work.height)
        scale = family.guidance(work.guidance_scale)
        shape = family.latent_shape(work.width, work.height)
        noise = torch.randn((1, *shape), generator=torch.Generator().manual_seed(work.seed)).to(family.device)
        slot = Slot(
            work=work,
            scale=scale,
            conditioning=self._read(work, guided=scale != 1),
            table=torch.cat([schedule.times[:, None], schedule.coefficients], dim=1).to(family.device),
            latents=schedule.start * noise,
            clean=torch.zeros_like(noise),
        )
        self._seat([*self.slots, slot])
        return slot

    def _read(self, work: PictureWork, *, guided: bool) -> Conditioning:
        """What the denoiser reads for a picture.

        Pictures of one request differ by their seed only: the second takes over what was read for the first.
        """
        for slot in self.slots:
            if slot.guided == guided and _reads_alike(slot.work, work):
                return slot.conditioning
        spliced = [_spliced(work.prompt, work.concepts, self._family)]
        if guided:
            spliced.append(_spliced(work.negative_prompt, work.concepts, self._family, negative=True))
        return self._family.condition(spliced, [View.whole(work.width, work.height)] * len(spliced))

    def _seat(self, slots: list[Slot]) -> None:
        """Put slots of one size into one batch each."""
        self.slots = slots
        sizes = dict.fromkeys(slot.latents.shape for slot in slots)
        self._batches = [_Batch([slot for slot in slots if slot.latents.shape == size]) for size in sizes]

    @torch.inference_mode()
    def advance(self) -> list[Slot]:
        """One denoising step of every picture, in one forward of the denoiser per picture size.

        Returns:
            The pictures that finished in this step; they are no longer among the slots.
        """
        done: list[Slot] = []
        for batch in self._batches:
            batch.step(self._family)
            done += _finish([slot for slot in batch.slots if slot.step == slot.total], self._family)
        if done:
            self._seat([slot for slot in self.slots if not slot.finished])
        return done

    def dismiss(self, slot: Slot) -> None:
        """Give a picture up."""
        self._seat([other for other in self.slots if other is not slot])


class _Batch:
    """Slots of one size, and what their common forward needs as long as nobody joins or leaves.

    Its rows are every slot's latents with its prompt, then those of the guided slots again with the negative one: a
    slot without guidance takes one row only.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = slots
        device = slots[0].latents.device
        guided = [i for i, slot in enumerate(slots) if slot.guided]
        negative = {i: row for row, i in enumerate(guided, start=len(slots))}
        self._rows = torch.tensor([*range(len(slots)), *guided], device=device)
        # Without guidance a slot is led away from its own prediction, which at scale 1 is that prediction, exactly.
        self._away = torch.tensor([negative.get(i, i) for i in range(len(slots))], device=device)
        self._scales = _per_slot(torch.tensor([float(slot.scale) for slot in slots], device=device))
        self._conditioning = {
            name: torch.cat(
                [slot.conditioning[name][:1] for slot in slots] + [slots[i].conditioning[name][1:] for i in guided]
            )
            for name in slots[0].conditioning
        }

    def step(self, family: Family) -> None:
        """One denoising step of all."""
        x = torch.cat([slot.latents for slot in self.slots])
        times, p, q, a, b, c = torch.stack([slot.table[slot.step] for slot in self.slots]).unbind(dim=1)
        outputs = family.predict(x[self._rows], times[self._rows], self._conditioning)
        away = outputs[self._away]
        output = away + self._scales * (outputs[: len(x)] - away)
        clean = _per_slot(p) * x + _per_slot(q) * output
        x = _per_slot(a) * x + _per_slot(b) * clean + _per_slot(c) * torch.cat([slot.clean for slot in self.slots])
        for i, slot in enumerate(self.slots):
            slot.latents, slot.clean = x[i : i + 1], clean[i : i + 1]
            slot.step += 1


def _per_slot(numbers: Tensor) -> Tensor:
    """One number a slot, so that it multiplies that slot's latents."""
    return numbers.view(-1, 1, 1, 1)


def _finish(done: Sequence[Slot], family: Family) -> Sequence[Slot]:
    """Make pictures of finished latents; latents that are no numbers become an error of their slot alone."""
    good = [slot for slot in done if slot.latents.isfinite().all()]
    if good:
        pictures = family.decode(torch.cat([slot.latents for slot in good]))
        for slot, picture in zip(good, pictures, strict=True):
            slot.picture = picture
    for slot in done:
        if slot.picture is None:
            slot.error = RenderingDivergedError(slot.step)
    return done


def _reads_alike(one: PictureWork, other: PictureWork) -> bool:
    """Whether two pictures have the same prompts and size and the very same concepts."""
    return (
        (one.prompt, one.negative_prompt) == (other.prompt, other.negative_prompt)
        and (one.width, one.height) == (other.width, other.height)
        and one.concepts.keys() == other.concepts.keys()
        and all(embedding is other.concepts[name] for name, embedding in one.concepts.items())
    )


def _spliced(
    prompt: str, concepts: Mapping[str, Embedding], family: Family, *, negative: bool = False
) -> SplicedPrompt:
    """A prompt with the rows of the concepts that it names."""
    for embedding in concepts.values():
        family.check_fits(embedding)
    vectors = {name: {at: rows.vectors for at, rows in one.rows.items()} for name, one in concepts.items()}
    stand_ins = {
        name: StandIn(one.class_word, {at: len(rows) for at, rows in vectors[name].items()})
        for name, one in concepts.items()
    }
    return lay_out(parse_prompt(prompt), family.encoders, stand_ins, negative=negative).splice(vectors)
