"""Precision and determinism of a worker's GPU arithmetic: torch's process-wide switches, set from the settings."""

import os

import torch

from service.settings import Settings


def apply(settings: Settings) -> None:
    """Set torch's switches; they have no effect on a CPU, where a training alone is reproducible bit for bit.

    TF32 rounds the factors of float32 products to ten bits. Models in bfloat16 and float16 are not affected, the
    autoencoder and models in float32 are.
    """
    tf32, deterministic = settings.tf32 == "on", settings.deterministic == "on"
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cudnn.deterministic = deterministic
    # An operation without a deterministic kernel warns and runs; an error would end the job of a user.
    torch.use_deterministic_algorithms(deterministic, warn_only=True)
    if deterministic:
        # Without it cuBLAS may choose another order of sums when streams run beside each other.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
