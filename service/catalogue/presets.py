"""Presets of public checkpoints: sources, and defaults for rendering and training.

A service offers only the models of its catalogue (`preset = "sdxl"`); nothing is downloaded before that. Training
defaults are from the paper where it has them (Kim et al., arXiv 2512.13672, section 5), rendering defaults from the
model cards and pipelines.
"""

from collections.abc import Mapping
from typing import Any

Toml = Mapping[str, Any]
"""A table of a catalogue. `Any`: TOML holds anything until the catalogue has checked it."""

_SANA: Toml = {
    "family": "sana",
    "width": 1024,
    "height": 1024,
    "size_multiple_px": 32,
    "max_px": 2048,
    "steps": 20,
    "guidance_scale": 4.5,
    "training": {"resolution": 1024, "batch_size": 4, "dti": {"steps": 500, "learning_rate": 0.04, "kappa": 5e-5}},
}

_LARGE: Toml = {
    "width": 1024,
    "height": 1024,
    "size_multiple_px": 16,
    "max_px": 1536,
    "training": {"resolution": 768, "batch_size": 4, "dti": {"steps": 500, "learning_rate": 0.04, "kappa": 5e-5}},
}
"""There are no published figures for concepts on these models: SANA's are taken, the nearest relative that has any (a
language model as text encoder, a flow-matching transformer), at a size that spares memory."""

PRESETS: Mapping[str, Toml] = {
    "sd15": {
        "family": "sd",
        "source": "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "width": 512,
        "height": 512,
        "max_px": 1024,
        "steps": 30,
        "guidance_scale": 7.5,
        "training": {"resolution": 512},
    },
    "sdxl": {
        "family": "sdxl",
        "source": "stabilityai/stable-diffusion-xl-base-1.0",
        "width": 1024,
        "height": 1024,
        "max_px": 1536,
        "steps": 30,
        "guidance_scale": 5.0,
        "training": {"resolution": 768, "batch_size": 4, "dti": {"steps": 400, "learning_rate": 0.04, "kappa": 1e-4}},
    },
    "sana-1.6b": {**_SANA, "source": "Efficient-Large-Model/SANA1.5_1.6B_1024px_diffusers"},
    "sana-4.8b": {**_SANA, "source": "Efficient-Large-Model/SANA1.5_4.8B_1024px_diffusers"},
    "flux2-klein": {
        **_LARGE,
        "family": "flux2",
        "source": "black-forest-labs/FLUX.2-klein-4B",
        "steps": 4,
        "guidance_scale": 1.0,
    },
    "flux2-klein-base": {
        **_LARGE,
        "family": "flux2",
        "source": "black-forest-labs/FLUX.2-klein-base-4B",
        "steps": 50,
        "guidance_scale": 4.0,
    },
    "zimage": {
        **_LARGE,
        "family": "zimage",
        "source": "Tongyi-MAI/Z-Image",
        "steps": 50,
        "guidance_scale": 4.0,
    },
    "zimage-turbo": {
        **_LARGE,
        "family": "zimage",
        "source": "Tongyi-MAI/Z-Image-Turbo",
        "steps": 8,
        "guidance_scale": 0.0,
    },
}
"""The presets by name; an entry of the catalogue overrides them."""
