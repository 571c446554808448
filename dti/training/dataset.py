"""Training set: pictures as latents of their crops with loss weights and captions, after selection."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn.functional import adaptive_avg_pool2d

from dti.families.base import Family, LatentDistribution
from dti.pictures import Crop, View, prepare
from dti.spec.settings import LearnableProperty, Training
from dti.training.selection import Candidate, PictureAssessment, assess, sharpness

CROPS = 4
"""Crops per picture, encoded once: most of the benefit of random crops, at no cost per update."""


@dataclass(frozen=True, slots=True)
class Crops:
    """The n crops of a picture.

    Attributes:
        latents: of the n crops.
        weights: `(n, 1, h, w)`, loss weight of each latent position.
        views: position of each crop.
    """

    latents: LatentDistribution
    weights: Tensor
    views: Sequence[View]


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """The selected pictures.

    Attributes:
        crops: per picture.
        captions: per picture.
        assessments: of all pictures given, excluded ones included; empty without selection.
    """

    crops: Sequence[Crops]
    captions: Sequence[str | None]
    assessments: Sequence[PictureAssessment]


def build(
    pictures: Sequence[Image.Image],
    captions: Sequence[str | None],
    family: Family,
    *,
    class_word: str,
    learnable_property: LearnableProperty,
    settings: Training,
    resolution: int,
    generator: Generator,
    at_once: int | None = None,
    assessments: Sequence[PictureAssessment] | None = None,
    original_sizes: Sequence[tuple[int, int]] | None = None,
) -> TrainingSet:
    """Encode pictures and, if the settings say so, select among them.

    Args:
        pictures: at least one.
        captions: one per picture, or None.
        family: model to train on.
        class_word: category of the concept.
        learnable_property: object or style.
        settings: settings of the training.
        resolution: side of the crops in pixels.
        generator: CPU generator that draws the positions of crops.
        at_once: maximum number of pictures in one backward pass; None for the batch size.
        assessments: earlier assessments of these pictures; None to assess them now.
        original_sizes: widths and heights before scaling, one per picture; None for their present ones.
    """
    crops: list[Crops] = []
    candidates: list[Candidate] = []
    sizes = [None] * len(pictures) if original_sizes is None else original_sizes
    for picture, size in zip(pictures, sizes, strict=True):
        cut = prepare(picture, resolution, CROPS, generator, size)
        crops.append(_encode(cut, family, settings.background_weight))
        candidates.append(_candidate(picture, cut, crops[-1]))
    if not settings.selection:
        return TrainingSet(crops, captions, ())
    if assessments is None:
        assessments = assess(
            candidates,
            family,
            class_word=class_word,
            learnable_property=learnable_property,
            batch_size=at_once or settings.batch_size,
        )
    kept = [index for index, assessment in enumerate(assessments) if assessment.reason is None]
    return TrainingSet([crops[index] for index in kept], [captions[index] for index in kept], assessments)


def _encode(cut: Sequence[Crop], family: Family, background_weight: float) -> Crops:
    latents = family.encode(torch.stack([crop.pixels for crop in cut]))
    subject = torch.stack([crop.subject for crop in cut]).to(latents.mean)
    share = adaptive_avg_pool2d(subject, (latents.mean.shape[-2], latents.mean.shape[-1]))
    return Crops(latents, background_weight + (1 - background_weight) * share, [crop.view for crop in cut])


def _candidate(picture: Image.Image, cut: Sequence[Crop], crops: Crops) -> Candidate:
    """A picture's candidate, represented by its first crop."""
    pixels = cut[0].pixels
    # The pixels themselves are not kept: sixty pictures of 1,024 px would take a gigabyte.
    return Candidate(picture, pixels.shape[-1], sharpness(pixels), crops.latents[:1], crops.weights[:1], crops.views[0])
