"""The provenance of a picture, exactly as JSON and as AUTOMATIC1111's infotext, which many tools parse.

Nothing in it changes from run to run: no time, no id of a job. It knows no file format.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import dti
from dti.samplers import SAMPLERS

_MODEL_HASH_DIGITS = 10
_CONCEPT_HASH_DIGITS = 12
_NEEDS_QUOTES = frozenset(",:\n")


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """The settings, model and concepts that made a picture.

    Args:
        prompt: the requested prompt; an interpolation's with its {}.
        model: the model's name.
        fingerprint: of the model's weights.
        concepts: digests of the embeddings by concept name; None for a concept in training.
        clip_skip: layer of the text encoder, counted from the last.
        more: further values of some kinds of pictures, such as an interpolation's share.
    """

    prompt: str
    negative_prompt: str
    seed: int
    steps: int
    guidance_scale: float
    scheduler: str
    width: int
    height: int
    model: str
    fingerprint: str
    concepts: Mapping[str, str | None]
    clip_skip: int = 1
    more: Mapping[str, str | int | float] = field(default_factory=dict)

    def to_json(self) -> str:
        """All values as a JSON object, in ASCII."""
        values = asdict(self)
        return json.dumps({**values, **values.pop("more"), "version": dti.__version__})

    def infotext(self) -> str:
        """The same values in AUTOMATIC1111's format; keys without an equivalent there begin with DTI.

        Source: create_infotext in AUTOMATIC1111's modules/processing.py.
        """
        lines = [self.prompt]
        if self.negative_prompt:
            lines.append(f"Negative prompt: {self.negative_prompt}")
        settings = {
            "Steps": self.steps,
            "Sampler": SAMPLERS[self.scheduler].a1111_name,
            "CFG scale": self.guidance_scale,
            "Seed": self.seed,
            "Size": f"{self.width}x{self.height}",
            "Model hash": self.fingerprint[:_MODEL_HASH_DIGITS],
            "Model": self.model,
            **({"Clip skip": self.clip_skip} if self.clip_skip > 1 else {}),
            **self._embeddings(),
            **{f"DTI {name}": value for name, value in self.more.items()},
            "Version": f"dti {dti.__version__}",
        }
        lines.append(", ".join(f"{name}: {_quoted(str(value))}" for name, value in settings.items()))
        return "\n".join(lines)

    def _embeddings(self) -> dict[str, str]:
        hashes = [f"{name}: {digest[:_CONCEPT_HASH_DIGITS]}" for name, digest in self.concepts.items() if digest]
        return {"TI hashes": ", ".join(hashes)} if hashes else {}


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if _NEEDS_QUOTES.intersection(value) else value
