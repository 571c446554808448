"""Flow-matching loss: noise levels during training and the velocity target. `dti.samplers` owns sampling."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from dti.families.base import Conditioning, mean_squared
from dti.transfers import upload

_TIMES = 1000
"""Timestep that the denoiser receives at full noise."""


@dataclass(frozen=True, slots=True)
class NoiseLevels:
    """Distribution of noise levels during training: logit-normal, then shifted towards noise.

    Attributes:
        shift: 1 for none; larger for higher resolutions.
        mean: mean of the logit.
        std: standard deviation of the logit.

    Source: Esser et al., "Scaling Rectified Flow Transformers", arXiv 2403.03206, section 3.1 and equation 23.
    """

    shift: float = 1.0
    mean: float = 0.0
    std: float = 1.0

    def draw(self, generator: Generator) -> Tensor:
        """A noise share between 0 and 1."""
        level = torch.sigmoid(self.mean + self.std * torch.randn((), generator=generator))
        return self.shift * level / (1 + (self.shift - 1) * level)


Predict = Callable[[Tensor, Tensor, Conditioning], Tensor]
"""Signature of `Family.predict`: latents, times in 0 … 1000 and conditioning to noise minus picture."""


def flow_loss(
    predict: Predict,
    latents: Tensor,
    weights: Tensor,
    conditioning: Conditioning,
    *,
    generators: Sequence[Generator],
    levels: NoiseLevels,
) -> Tensor:
    """Squared error of the predicted velocity, noise minus picture.

    Args:
        predict: the denoiser.
        latents: see `Family.loss`, as for the following three.
        weights: per latent position.
        conditioning: inputs for the prompts.
        generators: one per picture.
        levels: distribution of noise levels.

    Returns:
        Weighted mean squared error per picture.

    Source: Liu et al., "Flow Straight and Fast", arXiv 2209.03003, equation 1, with time running towards noise.
    """
    shares, noises = [], []
    for generator in generators:
        shares.append(levels.draw(generator))
        noises.append(torch.randn(latents.shape[1:], generator=generator))
    share, unit = upload([torch.stack(shares), torch.stack(noises)], latents.device)
    noise = share.view(-1, 1, 1, 1)
    output = predict((1 - noise) * latents + noise * unit, _TIMES * share, conditioning)
    return mean_squared(output - (unit - latents), weights)
