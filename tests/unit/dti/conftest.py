"""Loaded models for the tests of the algorithm: the real classes, tiny, with random weights."""

import pytest
from transformers.utils import logging

from dti.families import load
from tests.checkpoints import CHECKPOINTS

logging.disable_progress_bar()


@pytest.fixture(scope="session", params=CHECKPOINTS)
def checkpoint_name(request):
    """Every checkpoint of every family."""
    return request.param


@pytest.fixture(scope="session")
def checkpoint(checkpoint_name, tmp_path_factory):
    return CHECKPOINTS[checkpoint_name].build(tmp_path_factory.mktemp(checkpoint_name))


@pytest.fixture(scope="session")
def family(checkpoint_name, checkpoint):
    return load(CHECKPOINTS[checkpoint_name].family, checkpoint, device="cpu")


@pytest.fixture(scope="session")
def plain_family(tmp_path_factory):
    """One model, for tests that do not depend on the family."""
    name, checkpoint = next(iter(CHECKPOINTS.items()))
    return load(checkpoint.family, checkpoint.build(tmp_path_factory.mktemp(f"plain-{name}")), device="cpu")
