"""Flow matching, as several families are trained: the straight way from a picture to noise.

Owns how much noise a picture of a training gets, and what the denoiser should say of it. It knows no denoiser, and no
sampler: `dti.samplers` walks the way back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from dti.families.base import Conditioning, mean_squared

_TIMES = 1000
"""What such denoisers are told is the noise level on this scale."""


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """How noisy the pictures of a training are: logit-normal, then shifted towards noise as the checkpoint was trained.

    Attributes:
        shift: 1 for none; more for larger pictures.
        mean: of the logit.
        std: of the logit.

    Source: Esser et al., "Scaling Rectified Flow Transformers", arXiv 2403.03206, section 3.1 and equation 23.
    """

    shift: float = 1.0
    mean: float = 0.0
    std: float = 1.0

    def draw(self, generator: Generator) -> Tensor:
        """A share of noise between 0 and 1."""
        level = torch.sigmoid(self.mean + self.std * torch.randn((), generator=generator))
        return self.shift * level / (1 + (self.shift - 1) * level)


Predict = Callable[[Tensor, Tensor, Conditioning], Tensor]
"""A denoiser as `Family.predict` gives it: latents, times in 0 … 1000 and conditioning to noise minus picture."""


def flow_loss(
    predict: Predict,
    latents: Tensor,
    weights: Tensor,
    conditioning: Conditioning,
    *,
    generators: Sequence[Generator],
    levels: NoiseLevels,
) -> Tensor:
    """The squared error of the predicted direction from picture to noise.

    Args:
        predict: the denoiser.
        latents: see `Family.loss`, as for the following three.
        weights: per place.
        conditioning: of the prompts.
        generators: one a picture.
        levels: how noisy the pictures are.

    Returns:
        One weighted mean squared error per picture.

    Source: Liu et al., "Flow Straight and Fast", arXiv 2209.03003, equation 1, with time running towards noise.
    """
    shares, noises = [], []
    for generator in generators:
        shares.append(levels.draw(generator))
        noises.append(torch.randn(latents.shape[1:], generator=generator))
    share, unit = torch.stack(shares).to(latents), torch.stack(noises).to(latents)
    noise = share.view(-1, 1, 1, 1)
    output = predict((1 - noise) * latents + noise * unit, _TIMES * share, conditioning)
    return mean_squared(output - (unit - latents), weights)
