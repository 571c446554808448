"""Which pictures a concept is learned from: every one is judged, near-duplicates and the worst are left out.

Owns the judgement: how sharp and how large a picture is, whether another shows nearly the same, and how well it agrees
with the others about where the concept's rows should go. It knows no method and no family by name, and trains nothing.

Source: the idea that pictures are scored and chosen is that of Yang et al., "Controllable Textual Inversion for
Personalized Text-to-Image Generation", arXiv 2304.05265; the scores are our own.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from dti.families.base import LOSS_SCALE, Family, LatentDistribution
from dti.methods.base import class_rows
from dti.pictures import View, flatten
from dti.spec.prompts import PLAIN_PROMPTS, parse_prompt
from dti.spec.settings import LearnableProperty
from dti.sphere import normalize
from dti.tokens import StandIn, lay_out

Reason = Literal["near_duplicate", "blurred", "odd_one_out"]

KEPT_AT_LEAST = 3
"""Of fewer pictures every one is needed; only near-duplicates are left out then."""

DUPLICATE_BITS = 6
"""Hashes of 63 bits that differ in no more are of nearly the same picture; unlike pictures differ in about 30."""

BLURRED_SHARE = 0.05
"""A picture is blurred whose sharpest part is less sharp than this share of what is usual among its companions."""

_HASH_SIDE, _HASH_KEPT = 32, 8
_TILES = 4
_DRAWS = 8
_DEVIATIONS = 3.0
_CLEAR_GAP = 0.15
"""Pictures of one thing often agree so well that their spread means nothing: an odd one is further away than this."""

_MAD_TO_DEVIATION = 1.4826
_LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture as it would be learned from.

    Attributes:
        picture: as it came, whole.
        resolution: of the training, in pixels.
        sharpness: of a square of it at that resolution; see `sharpness`.
        latents: of that square.
        weights: `(1, 1, h, w)`, how much each place of the latents counts.
        view: where it was cut out.
    """

    picture: Image.Image
    resolution: int
    sharpness: float
    latents: LatentDistribution
    weights: Tensor
    view: View


@dataclass(frozen=True, slots=True)
class PictureAssessment:
    """What is thought of a picture.

    Attributes:
        sharpness: variance of the Laplacian in its sharpest part, as a share of what is usual among its companions.
        size: its shorter side as a share of the training's resolution.
        agreement: cosine between where it pulls the concept's rows and where the others do, -1 … 1; None where there
            are no others.
        score: the three together, 0 … 1.
        duplicate_of: the place of the better picture that shows nearly the same.
        reason: why it is left out; None where it is learned from.
    """

    sharpness: float
    size: float
    agreement: float | None
    score: float
    duplicate_of: int | None
    reason: Reason | None


def judge(
    candidates: Sequence[Candidate],
    family: Family,
    *,
    class_word: str,
    learnable_property: LearnableProperty,
    batch_size: int,
) -> list[PictureAssessment]:
    """Judge pictures by themselves and against each other; nothing is random, so the same ones are always chosen.

    Args:
        candidates: of one concept.
        family: the model that is to learn it.
        class_word: what kind of thing it is.
        learnable_property: an object or a style.
        batch_size: how many pictures the model takes at once.

    Returns:
        One verdict per picture. Where there were three, three at least are not left out, near-duplicates apart.
    """
    sharp = _relative([one.sharpness for one in candidates])
    sizes = [min(one.picture.size) / one.resolution for one in candidates]
    pulls = [_pull(one, family, class_word, learnable_property, batch_size) for one in candidates]
    agreements = _agreements(torch.stack(pulls))
    scores = [_score(*marks) for marks in zip(sharp, sizes, agreements, strict=True)]
    originals = _originals([one.picture for one in candidates], scores)
    reasons = _reasons(sharp, agreements, scores, originals)
    return [
        PictureAssessment(*marks) for marks in zip(sharp, sizes, agreements, scores, originals, reasons, strict=True)
    ]


def _grey(pixels: Tensor) -> Tensor:
    return torch.einsum("c,chw->hw", pixels.new_tensor(_LUMA), pixels)


def sharpness(pixels: Tensor) -> float:
    """How sharp a picture `(3, h, w)` in -1 … 1 is where it is sharpest: a plain background says nothing against it.

    Returns:
        The variance of the Laplacian in the sharpest of the tiles.
    """
    grey = _grey(pixels)
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    tiles = [tile for row in laplacian.tensor_split(_TILES, 0) for tile in row.tensor_split(_TILES, 1)]
    return float(torch.stack([tile.var() for tile in tiles]).max())


def _relative(values: Sequence[float]) -> list[float]:
    usual = statistics.median(values)
    return [value / usual if usual > 0 else 1.0 for value in values]


def _pull(
    candidate: Candidate, family: Family, class_word: str, learnable_property: LearnableProperty, batch_size: int
) -> Tensor:
    """Where a picture pulls the class word's rows: the gradient of its loss, the same noise and times for each."""
    rows = {
        name: class_rows(encoder, class_word, None).clone().requires_grad_()
        for name, encoder in family.encoders.items()
    }
    stand_in = StandIn(class_word, {name: len(vectors) for name, vectors in rows.items()})
    prompt = parse_prompt(PLAIN_PROMPTS[learnable_property].replace("{}", "<concept>"))
    layout = lay_out(prompt, family.encoders, {"concept": stand_in})
    for first in range(0, _DRAWS, batch_size):
        draws = range(first, min(first + batch_size, _DRAWS))
        generators = [Generator().manual_seed(draw) for draw in draws]
        latents = torch.cat([candidate.latents.sample(generator) for generator in generators])
        weights = candidate.weights.expand(len(draws), -1, -1, -1)
        conditioning = family.condition([layout.splice({"concept": rows})] * len(draws), [candidate.view] * len(draws))
        torch.autograd.backward(LOSS_SCALE * family.loss(latents, weights, conditioning, generators).mean())
    return torch.cat([vectors.grad.flatten().cpu() for vectors in rows.values() if vectors.grad is not None])


def _agreements(pulls: Tensor) -> list[float | None]:
    """The cosine of each pull with the sum of the others'; one that is nothing or no number agrees with nobody."""
    if len(pulls) == 1:
        return [None]
    sound = pulls.isfinite().all(dim=1, keepdim=True)
    directions = torch.where(sound & pulls.any(dim=1, keepdim=True), normalize(pulls), 0.0)
    others = directions.sum(dim=0) - directions
    cosines: list[float] = torch.cosine_similarity(directions, others, dim=1).tolist()
    return list(cosines)


def _score(sharpness: float, size: float, agreement: float | None) -> float:
    marks = [min(sharpness, 1.0), min(size, 1.0), *([max(agreement, 0.0)] if agreement is not None else [])]
    return statistics.fmean(marks)


def _originals(pictures: Sequence[Image.Image], scores: Sequence[float]) -> list[int | None]:
    """Per picture, the best-scored earlier choice that shows nearly the same; None where it is such a choice."""
    hashes = [_perceptual_hash(picture) for picture in pictures]
    originals: list[int | None] = [None] * len(pictures)
    chosen: list[int] = []
    for place in sorted(range(len(pictures)), key=lambda place: (-scores[place], place)):
        twins = [other for other in chosen if int((hashes[place] != hashes[other]).sum()) <= DUPLICATE_BITS]
        if twins:
            originals[place] = twins[0]
        else:
            chosen.append(place)
    return originals


def _perceptual_hash(picture: Image.Image) -> np.ndarray:
    """63 bits: whether each low frequency of the picture's cosine transform lies above their median."""
    small = flatten(picture).convert("L").resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.BOX)
    places = np.arange(_HASH_SIDE)
    waves = np.cos(np.pi * np.outer(np.arange(_HASH_KEPT), 2 * places + 1) / (2 * _HASH_SIDE))
    low = (waves @ np.asarray(small, dtype=float) @ waves.T).flatten()[1:]  # the first is the brightness
    bits: np.ndarray = low > np.median(low)
    return bits


def _reasons(
    sharpness: Sequence[float],
    agreements: Sequence[float | None],
    scores: Sequence[float],
    originals: Sequence[int | None],
) -> list[Reason | None]:
    reasons: list[Reason | None] = [None if original is None else "near_duplicate" for original in originals]
    spare = reasons.count(None) - KEPT_AT_LEAST
    bound = _lowest_usual([agreement for agreement in agreements if agreement is not None])
    for place in sorted(range(len(scores)), key=lambda place: scores[place]):
        reason = _fault(sharpness[place], agreements[place], bound)
        if spare > 0 and reasons[place] is None and reason is not None:
            reasons[place] = reason
            spare -= 1
    return reasons


def _fault(sharpness: float, agreement: float | None, bound: float) -> Reason | None:
    if sharpness < BLURRED_SHARE:
        return "blurred"
    return "odd_one_out" if agreement is not None and agreement < bound else None


def _lowest_usual(agreements: Sequence[float]) -> float:
    """Clearly below the median, and by three deviations of the middle ones, so that outliers do not widen it."""
    if not agreements:
        return -1.0
    middle = statistics.median(agreements)
    deviation = _MAD_TO_DEVIATION * statistics.median([abs(agreement - middle) for agreement in agreements])
    return middle - max(_DEVIATIONS * deviation, _CLEAR_GAP)
