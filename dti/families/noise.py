"""Diffusion loss and noise schedule of denoisers that predict noise or v (velocity)."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
import torch
from diffusers import DDPMScheduler
from diffusers.schedulers import KarrasDiffusionSchedulers
from torch import Generator, Tensor

from dti.errors import ModelUnavailableError
from dti.families.base import mean_squared
from dti.families.sources import read_json
from dti.samplers import DenoisingSchedule, diffusion_schedule
from dti.transfers import upload


class NoiseSchedule:
    """Signal and noise shares at every training timestep.

    Args:
        config: configuration of the checkpoint's scheduler.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        alphas = DDPMScheduler.from_config(config).alphas_cumprod
        self._config = config
        self._signal, self._noise = alphas.sqrt(), (1 - alphas).sqrt()

    @classmethod
    def load(cls, folder: Path, **overrides: object) -> "NoiseSchedule":
        """Load the noise schedule of a checkpoint.

        Args:
            folder: the checkpoint.
            overrides: values that the family's pipeline forces over the configuration's.

        Raises:
            ModelUnavailableError: the scheduler's configuration is missing or unsupported.
        """
        return cls(_read(folder, overrides))

    def loss(
        self,
        predict: Callable[[Tensor, Tensor], Tensor],
        latents: Tensor,
        weights: Tensor,
        generators: Sequence[Generator],
    ) -> Tensor:
        """Squared error of the predicted noise or v, at uniformly drawn times; see `Family.loss`.

        Args:
            predict: the denoiser's output for noisy latents at times.
            latents: `(b, c, h, w)`.
            weights: `(b, 1, h, w)`.
            generators: b generators.

        Source: noise, Ho et al., arXiv 2006.11239, eq. 14; v, Salimans and Ho, arXiv 2202.00512, appendix D.
        """
        drawn, noises = self._draw(latents.shape[1:], generators)
        parts = upload([drawn, noises, self._signal[drawn], self._noise[drawn]], latents.device)
        times, unit, signal, noise = parts[0], parts[1], parts[2].view(-1, 1, 1, 1), parts[3].view(-1, 1, 1, 1)
        predicts_v = self._config["prediction_type"] == "v_prediction"
        target = signal * unit - noise * latents if predicts_v else unit
        return mean_squared(predict(signal * latents + noise * unit, times) - target, weights)

    def _draw(self, shape: torch.Size, generators: Sequence[Generator]) -> tuple[Tensor, Tensor]:
        times, noises = [], []
        for generator in generators:
            times.append(torch.randint(len(self._signal), (), generator=generator))
            noises.append(torch.randn(shape, generator=generator))
        return torch.stack(times), torch.stack(noises)

    def schedule(self, scheduler: str, steps: int) -> DenoisingSchedule:
        """Timesteps and coefficients for denoising a picture.

        Raises:
            UnknownSchedulerError: there is no such sampler.
        """
        return diffusion_schedule(scheduler, self._config, steps)


def _read(folder: Path, overrides: Mapping[str, object]) -> Mapping[str, Any]:
    """Configuration of the checkpoint's scheduler, completed with its class's defaults."""
    given = read_json(folder, "scheduler/scheduler_config.json")
    kind = given.get("_class_name")
    if kind not in {member.name for member in KarrasDiffusionSchedulers} | {"DDPMScheduler"}:
        raise ModelUnavailableError(f"{folder}: its scheduler is {kind!r}, which is none of Stable Diffusion's.")
    config: Mapping[str, Any] = getattr(diffusers, kind).from_config(given, **overrides).config
    if config["prediction_type"] not in {"epsilon", "v_prediction"}:
        raise ModelUnavailableError(
            f"{folder}: it predicts {config['prediction_type']!r}; only epsilon and v_prediction are known."
        )
    if config["prediction_type"] == "epsilon" and config.get("rescale_betas_zero_snr"):
        raise ModelUnavailableError(
            f"{folder}: it predicts the noise but starts from pure noise (rescale_betas_zero_snr), which says nothing "
            "about the picture. Such a checkpoint must predict v."
        )
    return config
