"""What a training learns from: pictures as latents of their crops, the chosen ones with their captions.

Owns how a picture's transparency becomes weights of its loss. Which pictures are chosen is the judgement of
`dti.training.selection`; what is done with them is not known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Generator, Tensor
from torch.nn.functional import adaptive_avg_pool2d

from dti.families.base import Family, LatentDistribution
from dti.pictures import Crop, View, prepare
from dti.spec.settings import LearnableProperty, Training
from dti.training.selection import Candidate, PictureAssessment, judge, sharpness

_CROPS = 4
"""Crops of a picture that are encoded once and kept: most of what random crops give, at no cost per update."""


@dataclass(frozen=True, slots=True)
class Crops:
    """What one picture is learned from: n crops of it.

    Attributes:
        latents: of the n.
        weights: `(n, 1, h, w)`, how much each place of the latents counts.
        views: where they were cut out.
    """

    latents: LatentDistribution
    weights: Tensor
    views: Sequence[View]


@dataclass(frozen=True, slots=True)
class Material:
    """The pictures that are learned from.

    Attributes:
        crops: per picture.
        captions: per picture.
        verdicts: per picture as it came, those left out included; empty where nobody was to judge.
    """

    crops: Sequence[Crops]
    captions: Sequence[str | None]
    verdicts: Sequence[PictureAssessment]


def gather(
    pictures: Sequence[Image.Image],
    captions: Sequence[str | None],
    family: Family,
    *,
    class_word: str,
    learnable_property: LearnableProperty,
    settings: Training,
    resolution: int,
    generator: Generator,
    verdicts: Sequence[PictureAssessment] | None = None,
) -> Material:
    """Encode pictures, once, and choose among them where the settings say so.

    Args:
        pictures: at least one.
        captions: per picture, or None.
        family: the model that is to learn.
        class_word: what kind of thing the pictures show.
        learnable_property: an object or a style.
        settings: of the training.
        resolution: the crops' side in pixels.
        generator: on the CPU; draws where crops lie.
        verdicts: on these pictures, where they were judged before.
    """
    crops: list[Crops] = []
    candidates: list[Candidate] = []
    for picture in pictures:
        cut = prepare(picture, resolution, _CROPS, generator)
        crops.append(_encoded(cut, family, settings.background_weight))
        candidates.append(_candidate(picture, cut, crops[-1]))
    if not settings.selection:
        return Material(crops, captions, ())
    if verdicts is None:
        verdicts = judge(
            candidates,
            family,
            class_word=class_word,
            learnable_property=learnable_property,
            batch_size=settings.batch_size,
        )
    kept = [place for place, verdict in enumerate(verdicts) if verdict.reason is None]
    return Material([crops[place] for place in kept], [captions[place] for place in kept], verdicts)


def _encoded(cut: Sequence[Crop], family: Family, background_weight: float) -> Crops:
    latents = family.encode(torch.stack([crop.pixels for crop in cut]))
    subject = torch.stack([crop.subject for crop in cut]).to(latents.mean)
    share = adaptive_avg_pool2d(subject, (latents.mean.shape[-2], latents.mean.shape[-1]))
    return Crops(latents, background_weight + (1 - background_weight) * share, [crop.view for crop in cut])


def _candidate(picture: Image.Image, cut: Sequence[Crop], crops: Crops) -> Candidate:
    """A picture as its first crop shows it."""
    pixels = cut[0].pixels
    # Not the pixels themselves: sixty pictures of 1,024 would take a gigabyte of them.
    return Candidate(picture, pixels.shape[-1], sharpness(pixels), crops.latents[:1], crops.weights[:1], crops.views[0])
