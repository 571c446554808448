"""One embedded stack for the end-to-end tests, and an undisturbed training that every repetition must equal."""

import pytest

from service.catalogue.models import TINY
from tests.support.stack import TRAINING, Stack, drawings

FEW_STEPS = f"""
[tiny]
family = "{TINY.family}"
source = "{TINY.source}"
width = {TINY.width}
height = {TINY.height}
size_multiple_px = {TINY.size_multiple_px}
max_px = {TINY.max_px}
steps = {TINY.steps}
guidance_scale = {TINY.guidance_scale}
scheduler = "{TINY.scheduler}"
training = {{ resolution = {TINY.training["resolution"]}, steps = 60 }}
"""
"""The bundled model with short trainings, for documented commands that leave the number of steps to the model."""


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    folder = tmp_path_factory.mktemp("serve")
    catalogue = folder / "models.toml"
    catalogue.write_text(FEW_STEPS)
    running = Stack(folder / "home", DTI_LEASE_S="3", DTI_RENOTIFY_S="1", DTI_MODELS=str(catalogue))
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def untroubled(stack):
    """The digest of an embedding from an undisturbed training; every repetition must give the same one."""
    stack.client.succeeded(stack.client.train("ball", drawings("crimson"), **TRAINING))
    return stack.client.embedding("ball")["sha256"]
