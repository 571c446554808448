"""The environment of child processes: the names that any program needs, and no secret."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_NAMES = frozenset(
    {
        "HOME",
        "LANG",
        "LANGUAGE",
        "LD_LIBRARY_PATH",
        "LOGNAME",
        "PATH",
        "SYSTEMROOT",
        "TMPDIR",
        "TZ",
        "USER",
        "VIRTUAL_ENV",
    }
)
_PREFIXES = ("LC_", "PYTHON", "COVERAGE_", "COV_CORE_")

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_NETWORK_NAMES = {*_PROXIES, *map(str.upper, _PROXIES)} | {
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
}
_SERVICE_PREFIXES = ("DTI_", "AWS_", "PG")
_ADMIN_KEY_PREFIX = "DTI_ADMIN_KEY"
_DEVICE_PREFIXES = (
    *("CUDA_", "CUBLAS_", "HIP_", "HSA_", "NCCL_", "NVIDIA_", "ROCM_", "ROCR_"),
    *("GOMP_", "KMP_", "MKL_", "OMP_", "OPENBLAS_"),
    *("ACCELERATE_", "DIFFUSERS_", "HF_", "HUGGINGFACE_", "PYTORCH_", "TORCH", "TRANSFORMERS_", "XDG_CACHE_"),
)


def base_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that any program needs: paths, language, time zone, Python's own."""
    return {name: value for name, value in environ.items() if name in _NAMES or name.startswith(_PREFIXES)}


def api_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that the API needs: the base, the service's settings, and the way through the network."""
    found = {
        name: value for name, value in environ.items() if name in _NETWORK_NAMES or name.startswith(_SERVICE_PREFIXES)
    }
    return {**base_environment(environ), **found}


def maintenance_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that the maintenance and the migration need: the API's without its admin key."""
    return {name: value for name, value in api_environment(environ).items() if not name.startswith(_ADMIN_KEY_PREFIX)}


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that a worker needs: the maintenance's, and those of devices and model hubs."""
    device = {name: value for name, value in environ.items() if name.startswith(_DEVICE_PREFIXES)}
    return {**maintenance_environment(environ), **device}


@contextmanager
def only_base_environment() -> Iterator[None]:
    """Reduce this process's own environment while the block runs: children that are started in it inherit no secret.

    Other threads see the reduced environment, too: use it before they start.
    """
    whole = dict(os.environ)
    _replace(base_environment(whole))
    try:
        yield
    finally:
        _replace(whole)


def _replace(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
