"""Which pictures a request means: the works of its frames, in order, and what each picture says of itself.

The same for jobs of the service and for the command line. It knows no engine, job or file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from dti.embedding import Embedding
from dti.mix import interpolate
from dti.render import PictureWork


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One picture: how it is made and, where it lies between two concepts, where."""

    work: PictureWork
    share: float | None = None

    def facts(self, *, prompt: str, model: str, concepts: Sequence[str]) -> dict[str, str]:
        """What the picture's file says of it; nothing that differs between two runs of the same request.

        Args:
            prompt: as it was asked, which for an interpolation is not what the work says.
            model: the model's name.
            concepts: their names.
        """
        facts = {
            "prompt": prompt,
            "negative_prompt": self.work.negative_prompt,
            "seed": str(self.work.seed),
            "model": model,
            "concepts": ", ".join(concepts),
            "steps": str(self.work.steps),
            "guidance_scale": str(self.work.guidance_scale),
            "scheduler": self.work.scheduler,
        }
        return facts if self.share is None else {**facts, "share": str(self.share)}


def generation(asked: Mapping[str, Any], concepts: Mapping[str, Embedding]) -> list[Frame]:
    """The pictures of one prompt; the i-th uses seed + i.

    Args:
        asked: a generation's input with every default filled in.
        concepts: the embeddings by the names that the prompts use.
    """
    return [
        Frame(work=_work(asked, asked["prompt"], concepts, asked["seed"] + number))
        for number in range(asked["num_images"])
    ]


def interpolation(
    asked: Mapping[str, Any], ends: Sequence[Embedding], concepts: Mapping[str, Embedding]
) -> list[Frame]:
    """A picture at every share of the way between two concepts, all from the same noise.

    Args:
        asked: an interpolation's input with every default filled in; `{}` in its prompt stands for the concept.
        ends: the concepts at the shares 0 and 1.
        concepts: those that the prompts name besides.

    Raises:
        EmbeddingMismatchError: the ends cannot be mixed.
    """
    between = next(name for name in map("between-{}".format, count()) if name not in concepts)
    prompt = asked["prompt"].replace("{}", f"<{between}>")
    start, end = ends
    return [
        Frame(
            work=_work(
                asked, prompt, {**concepts, between: interpolate(start, end, share, asked["method"])}, asked["seed"]
            ),
            share=share,
        )
        for share in asked["shares"]
    ]


def _work(asked: Mapping[str, Any], prompt: str, concepts: Mapping[str, Embedding], seed: int) -> PictureWork:
    return PictureWork(
        prompt=prompt,
        negative_prompt=asked["negative_prompt"],
        concepts=concepts,
        width=asked["width"],
        height=asked["height"],
        steps=asked["steps"],
        guidance_scale=asked["guidance_scale"],
        scheduler=asked["scheduler"],
        seed=seed,
    )
