"""The plans of a request's pictures: the work of each, in order, and its provenance.

Used by jobs of the service and by the command line. It knows no engine, job or file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from dti.embeddings.embedding import Embedding
from dti.embeddings.mixing import interpolate
from dti.render import PictureWork
from dti.spec.settings import Mixing
from service.kinds.jobs import GenerateInput, InterpolateInput, PicturesInput
from worker.outputs.provenance import Provenance


@dataclass(frozen=True, kw_only=True)
class PicturePlan:
    """The work of one picture and, in an interpolation, its share and the mixing method."""

    work: PictureWork
    share: float | None = None
    mixing: Mixing | None = None

    def provenance(
        self, *, prompt: str, model: str, fingerprint: str, concepts: Mapping[str, str | None]
    ) -> Provenance:
        """The provenance for the picture's file.

        Args:
            prompt: the requested prompt; in an interpolation it differs from the work's.
            model: the model's name.
            fingerprint: of the model's weights.
            concepts: digests of the embeddings by the requested concept names.
        """
        return Provenance(
            prompt=prompt,
            negative_prompt=self.work.negative_prompt,
            seed=self.work.seed,
            steps=self.work.steps,
            guidance_scale=self.work.guidance_scale,
            scheduler=self.work.scheduler,
            width=self.work.width,
            height=self.work.height,
            model=model,
            fingerprint=fingerprint,
            concepts=concepts,
            clip_skip=self.work.clip_skip,
            more=dict(self._more()),
        )

    def _more(self) -> Iterator[tuple[str, str | float]]:
        """Settings that differ from the usual, and those of an interpolation."""
        if self.work.prompt_syntax != "plain":
            yield "prompt_syntax", self.work.prompt_syntax
        if self.work.guidance_rescale:
            yield "guidance_rescale", self.work.guidance_rescale
        if self.share is not None and self.mixing is not None:
            yield from {"share": self.share, "mixing": self.mixing}.items()


def generation(task: GenerateInput, concepts: Mapping[str, Embedding]) -> list[PicturePlan]:
    """The pictures of one prompt; the i-th uses seed + i.

    Args:
        task: the prompt and the rendering.
        concepts: the embeddings by their names in the prompts.
    """
    return [
        PicturePlan(work=_work(task, task.prompt, concepts, task.rendering.seed + number))
        for number in range(task.rendering.num_images)
    ]


def interpolation(
    task: InterpolateInput, ends: Sequence[Embedding], concepts: Mapping[str, Embedding]
) -> list[PicturePlan]:
    """A picture at every share between two concepts, all from the same noise.

    Args:
        task: the shares and the rendering; `{}` in its prompt stands for the concept.
        ends: the embeddings at the shares 0 and 1.
        concepts: the embeddings by their names in the prompts.

    Raises:
        EmbeddingMismatchError: the ends cannot be mixed.
    """
    between = next(name for name in map("between-{}".format, count()) if name not in concepts)
    prompt = task.prompt.replace("{}", f"<{between}>")
    mixing, seed = task.interpolation.method, task.rendering.seed
    start, end = ends
    return [
        PicturePlan(
            work=_work(task, prompt, {**concepts, between: interpolate(start, end, share, mixing)}, seed),
            share=share,
            mixing=mixing,
        )
        for share in task.shares
    ]


def sequence_provenance(first: Provenance, shares: Sequence[float]) -> Provenance:
    """The provenance of an animation or contact sheet, from that of its first picture and the shares of all."""
    return replace(first, more={**first.more, "share": ", ".join(f"{share:g}" for share in shares)})


def _work(task: PicturesInput, prompt: str, concepts: Mapping[str, Embedding], seed: int) -> PictureWork:
    rendering = task.rendering
    return PictureWork(
        prompt=prompt,
        negative_prompt=task.negative_prompt,
        concepts=concepts,
        width=rendering.width,
        height=rendering.height,
        steps=rendering.steps,
        guidance_scale=rendering.guidance_scale,
        guidance_rescale=rendering.guidance_rescale,
        scheduler=rendering.scheduler,
        prompt_syntax=rendering.prompt_syntax,
        clip_skip=rendering.clip_skip,
        strict=rendering.strict,
        seed=seed,
    )
