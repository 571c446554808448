"""The renderer: pictures of independent requests, denoised together, one step at a time.

Requests may differ in prompt, concepts, steps, scheduler, guidance and seed, and join or leave between steps
(continuous batching). The renderer knows no model family by name, no queue, and has no callbacks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from PIL import Image
from torch import Generator, Tensor

from dti.embeddings.embedding import Embedding
from dti.errors import DTIError, RenderingDivergedError
from dti.families.base import Conditioning, Family
from dti.pictures import View
from dti.spec.prompts import parse_prompt
from dti.spec.settings import PromptSyntax
from dti.tokens import Placeholder, SplicedPrompt, tokenize
from dti.transfers import upload


@dataclass(frozen=True, kw_only=True, eq=False)
class PictureWork:
    """One picture to render.

    Attributes:
        prompt: with concepts as `<name>`.
        negative_prompt: with concepts as `<name>`.
        concepts: embeddings by the names in the prompts.
        width: in pixels.
        height: in pixels.
        steps: denoising steps.
        guidance_scale: on the family's scale; see `Family.guidance`.
        guidance_rescale: share of the guided output that is rescaled to the prompt's own standard deviation, 0 to 1.
        scheduler: one of the family's samplers.
        seed: seed of the initial noise and of the samplers' fresh noise.
        prompt_syntax: of both prompts.
        clip_skip: layer of a CLIP text encoder, counted from the last (1).
        strict: whether concepts of another checkpoint of the family are refused.
    """

    prompt: str
    negative_prompt: str = ""
    concepts: Mapping[str, Embedding]
    width: int
    height: int
    steps: int
    guidance_scale: float
    guidance_rescale: float = 0.0
    scheduler: str
    seed: int
    prompt_syntax: PromptSyntax = "plain"
    clip_skip: int = 1
    strict: bool = False


@dataclass(kw_only=True, eq=False, repr=False)
class Slot:
    """A picture in progress.

    Attributes:
        work: the request.
        scale: factor of the difference between prompt and negative prompt; see `Family.guidance`.
        conditioning: the denoiser's inputs for the prompt and, with guidance, the negative prompt after it.
        table: time and coefficients per denoiser call, `(calls, 8)`.
        noisy: whether each call adds fresh noise.
        generator: of the fresh noise.
        latents: current latents, `(1, c, h, w)`.
        earlier: latents before the last call.
        clean: the last call's prediction of the clean latents.
        step: denoiser calls done.
        picture: the finished picture.
        error: reason for the failure.
    """

    work: PictureWork
    scale: float
    conditioning: Conditioning
    table: Tensor
    noisy: Sequence[bool]
    generator: Generator
    latents: Tensor
    earlier: Tensor
    clean: Tensor
    step: int = 0
    picture: Image.Image | None = None
    error: DTIError | None = None

    @property
    def guided(self) -> bool:
        """Whether classifier-free guidance is on."""
        return self.scale != 1

    @property
    def total(self) -> int:
        """Number of denoiser calls in total; some samplers need two a step."""
        return len(self.noisy)

    @property
    def finished(self) -> bool:
        """Whether the picture is done or failed."""
        return self.picture is not None or self.error is not None

    def fresh_noise(self) -> Tensor:
        """Unit noise `(1, c, h, w)` on the CPU for the next call; zeros where it adds none."""
        shape = self.latents.shape
        return torch.randn(shape, generator=self.generator) if self.noisy[self.step] else torch.zeros(shape)


class Renderer:
    """The pictures in progress on one model, owned by one thread.

    A picture alone is reproducible bit for bit; in a batch with others it differs by rounding, 1/255 at most.

    Attributes:
        slots: in order of admission.
    """

    def __init__(self, family: Family) -> None:
        self.slots: list[Slot] = []
        self._family = family
        self._batches: list[_Batch] = []

    @torch.inference_mode()
    def admit(self, work: PictureWork) -> Slot:
        """Add a picture and encode its prompts.

        Raises:
            PromptTooLongError: a prompt does not fit an encoder.
            UnknownTriggerError: a prompt names a concept without an embedding.
            EmbeddingMismatchError: an embedding belongs to another family, or, if strict, to another checkpoint.
            UnknownSchedulerError: the family has no such sampler.
            InvalidSettingError: the model does not support the size.
        """
        family = self._family
        family.check_size(width=work.width, height=work.height)
        schedule = family.schedule(work.scheduler, work.steps, width=work.width, height=work.height)
        scale = family.guidance(work.guidance_scale)
        shape = family.latent_shape(work.width, work.height)
        generator = torch.Generator().manual_seed(work.seed)
        noise = torch.randn((1, *shape), generator=generator).to(family.device)
        slot = Slot(
            work=work,
            scale=scale,
            conditioning=self._condition(work, guided=scale != 1),
            table=torch.cat([schedule.times[:, None], schedule.coefficients], dim=1).to(family.device),
            noisy=(schedule.coefficients[:, -1] != 0).tolist(),
            generator=generator,
            latents=schedule.start * noise,
            earlier=torch.zeros_like(noise),
            clean=torch.zeros_like(noise),
        )
        self._rebatch([*self.slots, slot])
        return slot

    def _condition(self, work: PictureWork, *, guided: bool) -> Conditioning:
        """The denoiser's inputs for a picture, shared by slots that differ by their seed only."""
        for slot in self.slots:
            if slot.guided == guided and _same_conditioning(slot.work, work):
                return slot.conditioning
        spliced = [self._spliced(work, work.prompt)]
        if guided:
            spliced.append(self._spliced(work, work.negative_prompt, negative=True))
        return self._family.condition(spliced, [View.whole(work.width, work.height)] * len(spliced))

    def _spliced(self, work: PictureWork, prompt: str, *, negative: bool = False) -> SplicedPrompt:
        """One of a picture's prompts."""
        spliced = spliced_prompt(
            prompt,
            work.concepts,
            self._family,
            negative=negative,
            syntax=work.prompt_syntax,
            strict=work.strict,
        )
        return replace(spliced, clip_skip=work.clip_skip)

    def _rebatch(self, slots: list[Slot]) -> None:
        """Group the slots into one batch per latent size."""
        self.slots = slots
        sizes = dict.fromkeys(slot.latents.shape for slot in slots)
        self._batches = [_Batch([slot for slot in slots if slot.latents.shape == size], self._family) for size in sizes]

    @torch.inference_mode()
    def advance(self) -> list[Slot]:
        """One denoising step of every picture, in one forward pass per latent size.

        Returns:
            Slots that finished in this step; they are removed from `slots`.
        """
        done: list[Slot] = []
        for batch in self._batches:
            batch.step(self._family)
            done += _finish([slot for slot in batch.slots if slot.step == slot.total], self._family)
        if done:
            self._rebatch([slot for slot in self.slots if not slot.finished])
        return done

    def dismiss(self, slot: Slot) -> None:
        """Remove a picture."""
        self._rebatch([other for other in self.slots if other is not slot])


class _Batch:
    """Slots of one latent size, with the tensors of their common forward pass, constant while membership is.

    The denoiser's batch contains every slot's latents with its prompt, followed by the guided slots' latents with the
    negative prompt; a slot without guidance takes one row only.
    """

    def __init__(self, slots: Sequence[Slot], family: Family) -> None:
        self.slots = slots
        device = slots[0].latents.device
        guided = [i for i, slot in enumerate(slots) if slot.guided]
        negative = {i: row for row, i in enumerate(guided, start=len(slots))}
        self._rows = torch.tensor([*range(len(slots)), *guided], device=device)
        # A slot without guidance is its own negative: at scale 1 the guided output is then its output, exactly.
        self._negative = torch.tensor([negative.get(i, i) for i in range(len(slots))], device=device)
        self._scales = _per_slot(torch.tensor([float(slot.scale) for slot in slots], device=device))
        rescales = [slot.work.guidance_rescale if slot.guided else 0.0 for slot in slots]
        self._rescales = _per_slot(torch.tensor(rescales, device=device)) if any(rescales) else None
        self._adds_noise = any(any(slot.noisy) for slot in slots)
        self._conditioning = family.join(
            [_rows(slot.conditioning, slice(1)) for slot in slots]
            + [_rows(slots[i].conditioning, slice(1, None)) for i in guided]
        )

    def step(self, family: Family) -> None:
        """One denoising step of all slots."""
        # Every sampler is a linear recurrence with precomputed coefficients (see DenoisingSchedule). So slots with
        # different samplers, step counts and positions share one forward pass and one set of elementwise operations:
        # per slot, the row of its table at its own call supplies the time and the coefficients.
        x = torch.cat([slot.latents for slot in self.slots])
        times, *columns = torch.stack([slot.table[slot.step] for slot in self.slots]).unbind(dim=1)
        p, q, a, b, c, d, n = map(_per_slot, columns)
        output = self._guided(family.predict(x[self._rows], times[self._rows], self._conditioning))
        clean = p * x + q * output
        after = a * x + b * clean + c * torch.cat([slot.clean for slot in self.slots])
        if self._adds_noise:
            after += d * torch.cat([slot.earlier for slot in self.slots]) + n * self._fresh_noise(x)
        for i, slot in enumerate(self.slots):
            slot.latents, slot.earlier, slot.clean = after[i : i + 1], x[i : i + 1], clean[i : i + 1]
            slot.step += 1

    def _guided(self, outputs: Tensor) -> Tensor:
        """The outputs with guidance, one per slot.

        Source: Ho and Salimans, arXiv 2207.12598, equation 6; rescaling: Lin et al., arXiv 2305.08891, section 3.4.
        """
        prompted, negative = outputs[: len(self.slots)], outputs[self._negative]
        guided = negative + self._scales * (prompted - negative)
        if self._rescales is None:
            return guided
        spread = [part.std(dim=(1, 2, 3), keepdim=True) for part in (prompted, guided)]
        return self._rescales * guided * (spread[0] / spread[1]) + (1 - self._rescales) * guided

    def _fresh_noise(self, like: Tensor) -> Tensor:
        """Each slot's own unit noise for its next call, drawn on the CPU."""
        (noise,) = upload([torch.cat([slot.fresh_noise() for slot in self.slots])], like.device)
        return noise


def _rows(conditioning: Conditioning, rows: slice) -> Conditioning:
    return {name: part[rows] for name, part in conditioning.items()}


def _per_slot(numbers: Tensor) -> Tensor:
    """One number per slot, shaped to multiply the slots' latents."""
    return numbers.view(-1, 1, 1, 1)


def _finish(done: Sequence[Slot], family: Family) -> Sequence[Slot]:
    """Decode finished latents; non-finite latents become an error of their slot only."""
    good = [slot for slot in done if slot.latents.isfinite().all()]
    if good:
        pictures = family.decode(torch.cat([slot.latents for slot in good]))
        for slot, picture in zip(good, pictures, strict=True):
            slot.picture = picture
    for slot in done:
        if slot.picture is None:
            slot.error = RenderingDivergedError(slot.step)
    return done


_CONDITIONING_FIELDS = ("prompt", "negative_prompt", "prompt_syntax", "clip_skip", "strict", "width", "height")


def _same_conditioning(work: PictureWork, other: PictureWork) -> bool:
    """Whether two pictures have equal prompts and sizes and identical embeddings."""
    return (
        all(getattr(work, name) == getattr(other, name) for name in _CONDITIONING_FIELDS)
        and work.concepts.keys() == other.concepts.keys()
        and all(embedding is other.concepts[name] for name, embedding in work.concepts.items())
    )


def spliced_prompt(
    prompt: str,
    concepts: Mapping[str, Embedding],
    family: Family,
    *,
    negative: bool = False,
    syntax: PromptSyntax = "plain",
    strict: bool = True,
) -> SplicedPrompt:
    """The prompt, tokenized and spliced with its concepts' rows; `strict` as in `Family.check_fits`."""
    for embedding in concepts.values():
        family.check_fits(embedding, strict=strict)
    vectors = {
        name: {encoder: rows.vectors for encoder, rows in embedding.rows.items()}
        for name, embedding in concepts.items()
    }
    placeholders = {
        name: Placeholder(embedding.class_word, {encoder: len(rows) for encoder, rows in vectors[name].items()})
        for name, embedding in concepts.items()
    }
    return tokenize(parse_prompt(prompt, syntax), family.encoders, placeholders, negative=negative).splice(vectors)
