"""Measures, without training a concept, whether the model treats rows and prompts as a pretrained one does.

The swap test tells which of the text model's outputs the denoiser believes; the scale test, how much obedience a row
loses as it grows; the hard prompts, how far the class word itself obeys. Every figure says whether the context stands
in front of the noun or behind it. The module knows a checkpoint and the scorer, not the training.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from torch import Tensor

from tools.tiny.autoencoder import to_unit
from tools.tiny.captions import PLACES, Caption, compose
from tools.tiny.networks import embedding_tables
from tools.tiny.reading import Tokens, read, tokenize
from tools.tiny.scorer.network import ATTRIBUTES, IGNORED, NONE, Scorer, classes, named
from tools.tiny.world import KINDS, Scene, choose_scene

STEPS = 20
GUIDANCE = 3.0
BATCH = 50
CONTEXT = ("background", "accessory", "style", "colour")
HARD_KINDS = {"single": 0.5, "pair": 0.25, "several": 0.25}
SINGLE = {"single": 1.0}
HARD_ATTRIBUTES = 3
SCALES = (1, 8, 16)
SEED = 2025


@dataclass(frozen=True)
class Question:
    """A scene, the prompt that asks for it, and the names of the attributes that the prompt asks for."""

    scene: Scene
    caption: Caption
    asked: tuple[str, ...]


def _asked(scene: Scene, text: str) -> tuple[str, ...]:
    names = ["left", "right"] if scene.companion else ["subject"]
    if scene.count > 1:
        names.append("count")
    if any(place in text for place in PLACES[scene.background]):
        names.append("background")
    if scene.colour and not scene.companion:
        names.append("colour")
    return (*names, *(name for name in ("accessory", "style") if getattr(scene, name)))


def questions(
    count: int,
    seed: int,
    kinds: dict[str, float] = KINDS,
    *,
    in_front: bool | None = None,
    attributes: int = 0,
) -> list[Question]:
    """Draw prompts, always the same for one seed.

    Args:
        count: prompts.
        seed: of all that is random.
        kinds: of scenes.
        in_front: where the context stands; either where None.
        attributes: how many of background, colour, accessory and style a single object's prompt asks for at least.
    """
    rng = np.random.default_rng(seed)
    found: list[Question] = []
    while len(found) < count:
        scene = choose_scene(rng, kinds=kinds)
        named_place = True if attributes else None
        caption = compose(scene, rng, in_front=in_front, word=scene.subject, place_named=named_place)
        asked = _asked(scene, caption.text)
        alone = scene.companion is None and scene.count == 1
        if not alone or len(set(asked) & set(CONTEXT)) >= attributes:
            found.append(Question(scene, caption, asked))
    return found


def paint(pipeline: StableDiffusionPipeline, states: Tensor, empty: Tensor, seed: int) -> Tensor:
    """Paint one picture for each prompt's states.

    Args:
        pipeline: the checkpoint.
        states: `(n, positions, width)`, heard by the denoiser.
        empty: `(1, positions, width)`, for guidance.
        seed: of the first latents.

    Returns:
        `(n, 3, 64, 64)` in -1..1, rounded to bytes as a stored picture is.
    """
    generator = torch.Generator().manual_seed(seed)
    pictures = []
    for heard in torch.split(states, BATCH):
        made = pipeline(
            prompt_embeds=heard,
            negative_prompt_embeds=empty.expand_as(heard),
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=generator,
            output_type="np",
        ).images
        pictures.append(to_unit((255 * made).round().astype(np.uint8)))
    return torch.cat(pictures)


def obedience(scorer: Scorer, pictures: Tensor, asked: Sequence[Question]) -> dict[str, float]:
    """Give the share of asked attributes that the pictures show, by attribute and for all of the context.

    An attribute counts only where its prompt asks for it; "false accessory" and "false style" are the shares of
    pictures that show one without being asked for it.
    """
    guesses = named(scorer, pictures)
    wanted = torch.tensor([classes(question.scene) for question in asked])
    shares, right_context, all_context = {}, 0, 0
    for column, name in enumerate(ATTRIBUTES):
        counted = torch.tensor([name in question.asked for question in asked]) & (wanted[:, column] != IGNORED)
        right = guesses[name] == wanted[:, column]
        if counted.any():
            shares[name] = float(right[counted].float().mean())
        if name != "subject":
            right_context, all_context = right_context + int(right[counted].sum()), all_context + int(counted.sum())
        if NONE in ATTRIBUTES[name] and not counted.all():
            shares[f"false {name}"] = float((guesses[name] != 0)[~counted].float().mean())
    return shares | {"context": right_context / max(1, all_context)}


class Examiner:
    """Puts questions to one checkpoint and lets one scorer judge the pictures."""

    def __init__(self, pipeline: StableDiffusionPipeline, scorer: Scorer) -> None:
        self.pipeline = pipeline
        self.scorer = scorer

    @torch.no_grad()
    def _read(self, captions: Sequence[Caption], scale: float = 1.0) -> tuple[Tensor, Tokens]:
        tokens = tokenize(self.pipeline.tokenizer, captions)
        at = (torch.arange(len(tokens.ids)), tokens.nouns)
        rows = scale * embedding_tables(self.pipeline.text_encoder)[0][tokens.ids[at]]
        return read(self.pipeline.text_encoder, tokens.ids, rows, at), tokens

    def _judge(self, states: Tensor, asked: Sequence[Question]) -> dict[str, float]:
        empty, _ = self._read([Caption("", "", in_front=True)])
        return obedience(self.scorer, paint(self.pipeline, states, empty, SEED), asked)

    def ask(self, asked: Sequence[Question], scale: float = 1.0) -> dict[str, float]:
        """Judge plain prompts, with the noun's row scaled."""
        states, _ = self._read([question.caption for question in asked], scale)
        return self._judge(states, asked)

    @torch.no_grad()
    def swap(self, asked: Sequence[Question]) -> dict[str, dict[str, float]]:
        """Replace part of the outputs by those of "a photo of a <noun>", and see which attributes survive.

        The noun's own state takes the position of the neutral prompt's noun; the neutral prompt's end takes that of the
        end and padding.
        """
        states, tokens = self._read([question.caption for question in asked])
        neutral = [Caption(f"a photo of a {q.caption.noun}", q.caption.noun, in_front=True) for q in asked]
        other, other_tokens = self._read(neutral)
        count, positions = torch.arange(len(states)), torch.arange(states.shape[1])
        noun = (positions == tokens.nouns[:, None])[..., None]
        other_noun = (positions == other_tokens.nouns[:, None])[..., None]
        end = (positions >= tokens.ends[:, None])[..., None]
        own, plain = states[count, tokens.nouns][:, None], other[count, other_tokens.nouns][:, None]
        blank = other[:, -1:].expand_as(states)
        heard = {
            "everything": states,
            "only the noun's own state": torch.where(other_noun, own, other),
            "everything but the noun's own state": torch.where(noun, plain, states),
            "no end and padding": torch.where(end, blank, states),
        }
        return {name: self._judge(mixed, asked) for name, mixed in heard.items()}

    def scale(self, count: int) -> dict[str, dict[str, float]]:
        """Judge single objects with their rows scaled, by order and factor."""
        table: dict[str, dict[str, float]] = {}
        for order, in_front in (("in front", True), ("behind", False)):
            asked = questions(count, SEED + 1, SINGLE, in_front=in_front, attributes=1)
            table |= {f"x {factor}, {order}": self.ask(asked, factor) for factor in SCALES}
        return table


def accept(pipeline: StableDiffusionPipeline, scorer: Scorer, count: int) -> dict[str, dict[str, dict[str, float]]]:
    """Run all tests.

    Args:
        pipeline: the checkpoint, in single precision.
        scorer: the judge.
        count: prompts of the exam and of the hard prompts; the other tests take a third as many a row.

    Returns:
        By test and row of its table: shares by attribute.
    """
    examiner, few = Examiner(pipeline, scorer), max(1, count // 3)
    in_front = questions(few, SEED, SINGLE, in_front=True, attributes=1)
    return {
        "swap, context in front": examiner.swap(in_front),
        "row scaled": examiner.scale(few),
        "class word": {
            "hard prompts": examiner.ask(questions(count, SEED + 2, HARD_KINDS, attributes=HARD_ATTRIBUTES)),
            "exam": examiner.ask(questions(count, SEED + 3, SINGLE)),
        },
    }


def verdicts(tests: dict[str, dict[str, dict[str, float]]]) -> dict[str, bool]:
    """Compare the figures with the floors of acceptance."""
    swap, scaled, word = tests["swap, context in front"], tests["row scaled"], tests["class word"]

    def mean(factor: int, name: str) -> float:
        return sum(scaled[f"x {factor}, {order}"][name] for order in ("in front", "behind")) / 2

    exam = word["exam"]
    floors: dict[str, Callable[[], bool]] = {
        "only own >= 80 %": lambda: swap["only the noun's own state"]["context"] >= 0.8,  # noqa: PLR2004
        "no own <= 50 %": lambda: swap["everything but the noun's own state"]["context"] <= 0.5,  # noqa: PLR2004
        "x 8 costs >= 10 points": lambda: mean(1, "context") - mean(8, "context") >= 0.1,  # noqa: PLR2004
        "x 16 costs >= 20 points": lambda: mean(1, "context") - mean(16, "context") >= 0.2,  # noqa: PLR2004
        "object 100 % at every scale": lambda: min(mean(factor, "subject") for factor in SCALES) == 1,
        "hard prompts 85 to 95 %": lambda: 0.85 <= word["hard prompts"]["context"] <= 0.95,  # noqa: PLR2004
        "exam, object and colour 100 %": lambda: min(exam["subject"], exam.get("colour", 1.0)) == 1,
        "exam, accessory >= 90 %": lambda: exam.get("accessory", 1.0) >= 0.9,  # noqa: PLR2004
        "exam, style >= 97 %": lambda: exam.get("style", 1.0) >= 0.97,  # noqa: PLR2004
        "exam, background >= 98 %": lambda: exam.get("background", 1.0) >= 0.98,  # noqa: PLR2004
    }
    return {name: holds() for name, holds in floors.items()}


def as_table(tests: dict[str, dict[str, dict[str, float]]]) -> str:
    """Lay out all tests as one Markdown table, in percent."""
    columns = ("context", "subject", *CONTEXT, "count", "left", "right", "false accessory", "false style")
    lines = [f"| test | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for test, rows in tests.items():
        for row, shares in rows.items():
            cells = [f"{100 * shares[name]:.1f}" if name in shares else "" for name in columns]
            lines.append(f"| {test}: {row} | {' | '.join(cells)} |")
    return "\n".join(lines)
