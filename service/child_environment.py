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


def base_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of an environment that any program needs: paths, language, time zone, Python's own."""
    return {name: value for name, value in environ.items() if name in _NAMES or name.startswith(_PREFIXES)}


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
