"""Selection of training pictures: near-duplicates, blurred pictures and outliers are excluded.

A picture is assessed by its sharpness, its size, its similarity to others, and the agreement of its gradient with the
others' on the concept's rows. Assessment is independent of the training method and changes nothing.

Source: selection by score follows Yang et al., "Controllable Textual Inversion for Personalized Text-to-Image
Generation", arXiv 2304.05265; the scores are our own.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Generator, Tensor

from dti.encoders import class_rows
from dti.families.base import LOSS_SCALE, Family, LatentDistribution
from dti.pictures import View, flatten
from dti.spec.prompts import PLAIN_PROMPTS, parse_prompt
from dti.spec.settings import LearnableProperty
from dti.sphere import normalize
from dti.tokens import Placeholder, tokenize

Reason = Literal["near_duplicate", "blurred", "odd_one_out"]

KEPT_AT_LEAST = 3
"""Minimum number of pictures kept, near-duplicates aside."""

DUPLICATE_BITS = 6
"""Maximum Hamming distance of near-duplicates' 63-bit hashes; unrelated pictures differ in about 30 bits."""

BLURRED_SHARE = 0.05
"""A picture is blurred if its sharpness is below this share of the set's median."""

_HASH_SIDE, _HASH_KEPT = 32, 8
_TILES = 4
_DRAWS = 8
_DEVIATIONS = 3.0
_MINIMUM_GAP = 0.15
"""Minimum distance of an outlier's agreement from the median: a homogeneous set's own spread is close to zero."""

_MAD_TO_DEVIATION = 1.4826
"""Standard deviation over median absolute deviation, for a normal distribution."""

_LUMA = (0.299, 0.587, 0.114)
"""Weights of red, green and blue. Source: ITU-R BT.601."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A picture, represented by one square crop at the training's resolution.

    Attributes:
        picture: the whole picture.
        resolution: side of the crop in pixels.
        sharpness: of the crop; see `sharpness`.
        latents: of the crop.
        weights: `(1, 1, h, w)`, loss weight of each latent position.
        view: position of the crop.
    """

    picture: Image.Image
    resolution: int
    sharpness: float
    latents: LatentDistribution
    weights: Tensor
    view: View


@dataclass(frozen=True, slots=True)
class PictureAssessment:
    """Assessment of a picture.

    Attributes:
        sharpness: variance of the Laplacian in the sharpest tile, over the set's median.
        size: shorter side over the training's resolution.
        agreement: cosine between the picture's gradient on the concept's rows and the sum of the others', -1 … 1;
            None for a single picture.
        score: mean of the three, each limited to 0 … 1.
        duplicate_of: index of the better near-duplicate.
        reason: reason for exclusion; None where the picture is used.
    """

    sharpness: float
    size: float
    agreement: float | None
    score: float
    duplicate_of: int | None
    reason: Reason | None


def assess(
    candidates: Sequence[Candidate],
    family: Family,
    *,
    class_word: str,
    learnable_property: LearnableProperty,
    batch_size: int,
) -> list[PictureAssessment]:
    """Assess the pictures of a concept, deterministically.

    Args:
        candidates: the pictures.
        family: model to train on.
        class_word: category of the concept.
        learnable_property: object or style.
        batch_size: maximum number of pictures per forward pass.

    Returns:
        One assessment per picture. Of three or more, at least three are kept, near-duplicates aside.
    """
    sharp = _relative([candidate.sharpness for candidate in candidates])
    sizes = [min(candidate.picture.size) / candidate.resolution for candidate in candidates]
    gradients = [_gradient(candidate, family, class_word, learnable_property, batch_size) for candidate in candidates]
    agreements = _agreements(torch.stack(gradients))
    scores = [_score(*marks) for marks in zip(sharp, sizes, agreements, strict=True)]
    originals = _originals([candidate.picture for candidate in candidates], scores)
    reasons = _reasons(sharp, agreements, scores, originals)
    return [
        PictureAssessment(*marks) for marks in zip(sharp, sizes, agreements, scores, originals, reasons, strict=True)
    ]


def _grey(pixels: Tensor) -> Tensor:
    return torch.einsum("c,chw->hw", pixels.new_tensor(_LUMA), pixels)


def sharpness(pixels: Tensor) -> float:
    """Sharpness of a picture `(3, h, w)` in -1 … 1: variance of the Laplacian in its sharpest tile.

    The maximum over tiles, because a plain background is not blur.

    Source: Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000.
    """
    grey = _grey(pixels)
    laplacian = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1] - grey[1:-1, :-2] - grey[1:-1, 2:]
    tiles = [tile for row in laplacian.tensor_split(_TILES, 0) for tile in row.tensor_split(_TILES, 1)]
    return float(torch.stack([tile.var() for tile in tiles]).max())


def _relative(values: Sequence[float]) -> list[float]:
    median = statistics.median(values)
    return [value / median if median > 0 else 1.0 for value in values]


def _gradient(
    candidate: Candidate, family: Family, class_word: str, learnable_property: LearnableProperty, batch_size: int
) -> Tensor:
    """Gradient of a picture's loss on the class word's rows, with the same noise and times for every picture."""
    rows = {
        name: class_rows(encoder, class_word, None).clone().requires_grad_()
        for name, encoder in family.encoders.items()
    }
    placeholder = Placeholder(class_word, {name: len(vectors) for name, vectors in rows.items()})
    prompt = parse_prompt(PLAIN_PROMPTS[learnable_property].replace("{}", "<concept>"))
    tokenized = tokenize(prompt, family.encoders, {"concept": placeholder})
    for first in range(0, _DRAWS, batch_size):
        draws = range(first, min(first + batch_size, _DRAWS))
        generators = [Generator().manual_seed(draw) for draw in draws]
        latents = torch.cat([candidate.latents.sample(generator) for generator in generators])
        weights = candidate.weights.expand(len(draws), -1, -1, -1)
        conditioning = family.condition(
            [tokenized.splice({"concept": rows})] * len(draws), [candidate.view] * len(draws)
        )
        torch.autograd.backward(LOSS_SCALE * family.loss(latents, weights, conditioning, generators).mean())
    return torch.cat([vectors.grad.flatten().cpu() for vectors in rows.values() if vectors.grad is not None])


def _agreements(gradients: Tensor) -> list[float | None]:
    """Cosine of each gradient's direction with the sum of the others'; 0 for a zero or non-finite gradient."""
    if len(gradients) == 1:
        return [None]
    finite = gradients.isfinite().all(dim=1, keepdim=True)
    directions = torch.where(finite & gradients.any(dim=1, keepdim=True), normalize(gradients), 0.0)
    others = directions.sum(dim=0) - directions
    cosines: list[float] = torch.cosine_similarity(directions, others, dim=1).tolist()
    return list(cosines)


def _score(sharpness: float, size: float, agreement: float | None) -> float:
    marks = [min(sharpness, 1.0), min(size, 1.0), *([max(agreement, 0.0)] if agreement is not None else [])]
    return statistics.fmean(marks)


def _originals(pictures: Sequence[Image.Image], scores: Sequence[float]) -> list[int | None]:
    """Index of the best-scored near-duplicate of each picture; None for a picture that is itself the best."""
    hashes = [_perceptual_hash(picture) for picture in pictures]
    originals: list[int | None] = [None] * len(pictures)
    chosen: list[int] = []
    for index in sorted(range(len(pictures)), key=lambda index: (-scores[index], index)):
        duplicates = [other for other in chosen if int((hashes[index] != hashes[other]).sum()) <= DUPLICATE_BITS]
        if duplicates:
            originals[index] = duplicates[0]
        else:
            chosen.append(index)
    return originals


def _perceptual_hash(picture: Image.Image) -> np.ndarray:
    """63-bit perceptual hash: low frequencies of the cosine transform, thresholded at their median.

    Source: pHash (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010, section 3.2.1).
    """
    small = flatten(picture).convert("L").resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.BOX)
    pixels = np.arange(_HASH_SIDE)
    waves = np.cos(np.pi * np.outer(np.arange(_HASH_KEPT), 2 * pixels + 1) / (2 * _HASH_SIDE))
    low = (waves @ np.asarray(small, dtype=float) @ waves.T).flatten()[1:]  # without the mean brightness
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
    bound = _outlier_bound([agreement for agreement in agreements if agreement is not None])
    for index in sorted(range(len(scores)), key=lambda index: scores[index]):
        reason = _fault(sharpness[index], agreements[index], bound)
        if spare > 0 and reasons[index] is None and reason is not None:
            reasons[index] = reason
            spare -= 1
    return reasons


def _fault(sharpness: float, agreement: float | None, bound: float) -> Reason | None:
    if sharpness < BLURRED_SHARE:
        return "blurred"
    return "odd_one_out" if agreement is not None and agreement < bound else None


def _outlier_bound(agreements: Sequence[float]) -> float:
    """Agreement below which a picture is an outlier: by three robust deviations and at least `_MINIMUM_GAP`."""
    if not agreements:
        return -1.0
    median = statistics.median(agreements)
    # Median absolute deviation, because outliers would widen a standard deviation and so hide themselves.
    deviation = _MAD_TO_DEVIATION * statistics.median([abs(agreement - median) for agreement in agreements])
    return median - max(_DEVIATIONS * deviation, _MINIMUM_GAP)
