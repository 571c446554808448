"""One-file checkpoints of Stable Diffusion 1.x, 2.x and SDXL, as Civitai, A1111 and ComfyUI have them.

The weights' names tell the layout; configurations and tokenizers are bundled, so nothing is downloaded. A folder of the
same name beside the file replaces the bundled configurations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open

from dti.errors import ModelUnavailableError
from dti.families.single_files import FOLDER

_UNSAFE = frozenset({".ckpt", ".pt", ".pth", ".bin"})

_LAYOUTS: Mapping[str, str] = {
    "conditioner.embedders.1.model.": "sdxl",
    "cond_stage_model.model.": "sd2",
    "cond_stage_model.transformer.": "sd1",
}
"""Bundled configurations by the first part of the text encoder's names, looked for in this order."""

_INPUT = "model.diffusion_model.input_blocks.0.0.weight"
_LATENT_CHANNELS = 4


@dataclass(frozen=True, slots=True)
class OneFile:
    """A one-file checkpoint.

    Attributes:
        path: the file.
        folder: its configurations and tokenizers in the diffusers layout.
        scheduler: values of the scheduler's configuration that the file itself states.
    """

    path: Path
    folder: Path
    scheduler: Mapping[str, object] = field(default_factory=dict)


def open_file(path: Path) -> OneFile:
    """Read the names of a file's weights.

    Raises:
        ModelUnavailableError: it is no safetensors file, or of a layout that is not supported.
    """
    if path.suffix in _UNSAFE:
        raise ModelUnavailableError(
            f"{path} is a pickle, which can run code when it is opened, and is not read. "
            "Use the .safetensors file of the checkpoint, or convert it."
        )
    try:
        with safe_open(path, framework="pt") as weights:
            names = set(weights.keys())
            channels = weights.get_slice(_INPUT).get_shape()[1] if _INPUT in names else None
    except (SafetensorError, OSError) as error:
        raise ModelUnavailableError(f"{path} is no safetensors file, or is damaged: {error}") from error
    layout = next((layout for start, layout in _LAYOUTS.items() if any(name.startswith(start) for name in names)), None)
    if layout is None or channels != _LATENT_CHANNELS:
        reason = f"its denoiser reads {channels} channels" if layout else "its text encoder is missing or unknown"
        raise ModelUnavailableError(
            f"{path} is no complete text-to-image checkpoint of Stable Diffusion 1.x, 2.x or SDXL: {reason}."
        )
    own = path.with_suffix("")
    configured = (own / "model_index.json").exists()
    return OneFile(path, own if configured else FOLDER / layout, {} if configured else _stated(names))


def _stated(names: set[str]) -> Mapping[str, object]:
    """The marks that trainers of v prediction leave in their files (`v_pred`, `ztsnr`), as ComfyUI reads them."""
    if "v_pred" not in names:
        return {}
    zero = {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"} if "ztsnr" in names else {}
    return {"prediction_type": "v_prediction", **zero}
