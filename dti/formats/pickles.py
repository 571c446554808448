"""Untrusted PyTorch pickles, read as tensors and plain values without executing code or amplifying memory.

PyTorch's weights-only unpickler executes no code, but allocates a gigabyte for a 400-byte file that calls `bytearray`.
Therefore a pickle's globals are scanned first and must be on an allow-list of tensor constructors.
"""

import io
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import IO

import torch
from torch import nn

from dti.errors import EmbeddingFormatError
from dti.formats.external import shown

_OPERATIONS_LIMIT = 20_000
"""Maximum number of pickle operations; an embedding has some hundred."""

_LEGACY_PICKLES = 5
"""Pickles in a file from before PyTorch 1.6: magic number, version, machine, content, storage names."""

_ALLOWED_GLOBALS = re.compile(
    r"torch\._utils _rebuild_(tensor|tensor_v2|parameter)"
    r"|torch [A-Za-z0-9]+Storage"
    r"|collections OrderedDict"
    # Textual Inversion's first release stored a ParameterDict, which contains a set.
    r"|torch\.nn\.modules\.container ParameterDict"
    r"|(__builtin__|builtins) set"
)

_INDIRECT_GLOBALS = frozenset({"STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"})
"""Operations that import globals by names from the stack or a registry; PyTorch writes none of them."""


def is_pickle(archive: zipfile.ZipFile) -> bool:
    """Whether a zip archive is a PyTorch file (since 1.6)."""
    return bool(_contents(archive))


def read_pickle(data: bytes) -> Mapping[str, object]:
    """Read a pickle, zipped or in the legacy form.

    Args:
        data: bytes with a checked unpacked size.

    Raises:
        EmbeddingFormatError: it is damaged, uses globals beyond tensors and plain values, or is no mapping of names.
    """
    try:
        refused = next((name for name in _globals(data) if _ALLOWED_GLOBALS.fullmatch(name) is None), None)
        found = _weights(data) if refused is None else None
    # On arbitrary input the unpickler can raise any exception.
    except Exception as error:
        raise EmbeddingFormatError(_refusal(type(error).__name__)) from error
    if refused is not None:
        raise EmbeddingFormatError(_refusal(f"it asks for {shown(refused)}"))
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        raise EmbeddingFormatError(f"The pickle holds a {type(found).__name__}, not tensors by name.")
    return found


def _weights(data: bytes) -> object:
    with torch.serialization.safe_globals([nn.ParameterDict]):
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _refusal(reason: str) -> str:
    return (
        f"The pickle cannot be read as plain weights ({reason}); nothing in it was executed. "
        "Where it holds more than tensors, save it again as safetensors."
    )


def _globals(data: bytes) -> Iterator[str]:
    """Globals imported by a file's pickles, found by a scan of their operations."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # Exactly one: with two, PyTorch could read the one that was not scanned.
            (content,) = _contents(archive)
            yield from _imported(io.BytesIO(archive.read(content)))
        return
    stream = io.BytesIO(data)
    for _ in range(_LEGACY_PICKLES):
        yield from _imported(stream)


def _imported(stream: IO[bytes]) -> Iterator[str]:
    """Globals imported by the next pickle of a stream; leaves the stream after it."""
    operations = pickletools.genops(stream)
    for operation, argument, _ in islice(operations, _OPERATIONS_LIMIT):
        if operation.name == "GLOBAL" or operation.name in _INDIRECT_GLOBALS:
            yield str(argument)
    if next(operations, None) is not None:
        yield f"more than {_OPERATIONS_LIMIT} operations"


def _contents(archive: zipfile.ZipFile) -> list[str]:
    return [name for name in archive.namelist() if name.endswith("data.pkl")]
