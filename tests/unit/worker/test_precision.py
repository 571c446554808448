import os

import pytest
import torch

from service.settings import Settings
from worker import precision


@pytest.fixture(autouse=True)
def restored(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    yield
    precision.apply(Settings())


def switches():
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
    )


def test_float32_is_float32_by_default_and_kernels_are_the_fastest():
    precision.apply(Settings())
    assert switches() == (False, False, False, False)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ


def test_tf32_and_determinism_are_settings():
    precision.apply(Settings.from_environment({"DTI_TF32": "on", "DTI_DETERMINISTIC": "on"}))
    assert switches() == (True, True, True, True)
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    del os.environ["CUBLAS_WORKSPACE_CONFIG"]
