"""Loaded models for the tests of the algorithm: the real classes, tiny, with random weights."""

import pytest
from transformers.utils import logging

from dti.families import load
from tests.checkpoints import stable_diffusion

CHECKPOINTS = {
    "sd-1-noise": {"prediction_type": "epsilon", "autoencoder": "kl", "legacy_eos": True},
    "sd-2-velocity": {
        "prediction_type": "v_prediction",
        "autoencoder": "tiny",
        "padding": "!",
        "scheduler": {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"},
    },
}
"""Every law holds for each: noise or v, a posterior or none, the end token's two meanings, both kinds of padding."""

logging.disable_progress_bar()


@pytest.fixture(scope="session", params=CHECKPOINTS)
def checkpoint(request, tmp_path_factory):
    return stable_diffusion(tmp_path_factory.mktemp(request.param), **CHECKPOINTS[request.param])


@pytest.fixture(scope="session")
def family(checkpoint):
    return load("sd", checkpoint, device="cpu")
