"""PyTorch's pickles of anybody's, as tensors and plain values by name.

Owns that reading one runs nothing of the file's and takes no more memory than the file has. PyTorch's weights-only
reader does the first; it would still make a gigabyte of zeros for a file of 400 bytes that asks for a `bytearray`. So
what a pickle asks for is looked at before it is read, and must be what tensors are made of.
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
"""Each is interpreted one by one; an embedding has some hundred."""

_OLD_FILES_PICKLES = 5
"""Before PyTorch 1.6 a file was a row of pickles: magic number, version, machine, content, names of the storages."""

_ASKED_FOR = re.compile(
    r"torch\._utils _rebuild_(tensor|tensor_v2|parameter)"
    r"|torch [A-Za-z0-9]+Storage"
    r"|collections OrderedDict"
    # Textual inversion's first release kept its rows in a ParameterDict, which has a set in it.
    r"|torch\.nn\.modules\.container ParameterDict"
    r"|(__builtin__|builtins) set"
)

_BY_ANOTHER_WAY = frozenset({"STACK_GLOBAL", "INST", "EXT1", "EXT2", "EXT4"})
"""Operations that ask for things by names that come from elsewhere; PyTorch writes none of them."""


def is_pickle(archive: zipfile.ZipFile) -> bool:
    """Whether a zip is what PyTorch makes of a pickle and its tensors since 1.6."""
    return bool(_contents(archive))


def read_pickle(data: bytes) -> Mapping[str, object]:
    """What a pickle holds, in a zip or in the old form.

    Args:
        data: bytes whose size unpacked was looked at.

    Raises:
        EmbeddingFormatError: it is damaged, holds more than tensors and plain values, or no names at its top.
    """
    try:
        stranger = next((asked for asked in _asked_for(data) if _ASKED_FOR.fullmatch(asked) is None), None)
        found = _weights(data) if stranger is None else None
    # An unpickler that is fed with anything raises anything.
    except Exception as error:
        raise EmbeddingFormatError(_refusal(type(error).__name__)) from error
    if stranger is not None:
        raise EmbeddingFormatError(_refusal(f"it asks for {shown(stranger)}"))
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


def _asked_for(data: bytes) -> Iterator[str]:
    """What a file's pickles ask for by name, as far as can be said without unpickling them."""
    if data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # Of two PyTorch may read the other one.
            (content,) = _contents(archive)
            yield from _names(io.BytesIO(archive.read(content)))
        return
    stream = io.BytesIO(data)
    for _ in range(_OLD_FILES_PICKLES):
        yield from _names(stream)


def _names(stream: IO[bytes]) -> Iterator[str]:
    """Of one pickle, after which the stream then stands."""
    operations = pickletools.genops(stream)
    for operation, argument, _ in islice(operations, _OPERATIONS_LIMIT):
        if operation.name == "GLOBAL" or operation.name in _BY_ANOTHER_WAY:
            yield str(argument)
    if next(operations, None) is not None:
        yield f"more than {_OPERATIONS_LIMIT} operations"


def _contents(archive: zipfile.ZipFile) -> list[str]:
    return [name for name in archive.namelist() if name.endswith("data.pkl")]
