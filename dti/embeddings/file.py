"""Named float32 tensors and strings of metadata as a safetensors file, and back from a stranger's.

Owns the bytes: the same content gives the same bytes everywhere, and nothing that is read is executed or believed.
It knows no rows; what the tensors and the metadata must be is the embedding's business.
"""

import json
import math
import struct
from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from dti.errors import EmbeddingFormatError

_HEADER_LIMIT_BYTES = 1 << 20
"""Far above what encoders, settings and a class word take; a file that announces more is none of ours."""

_PREFIX_BYTES = 8
"""The header's length stands before it, in so many bytes."""


def write(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A file with tensors and metadata in the order given: the library's own writer leaves that to a hash seed.

    Args:
        tensors: float32, on the CPU.
        metadata: what stands in the header.
    """
    header: dict[str, object] = {"__metadata__": metadata}
    body = b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _PREFIX_BYTES)
    return struct.pack("<Q", len(text)) + text + body


def read(data: bytes) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors and metadata of a file.

    Raises:
        EmbeddingFormatError: it is no safetensors file, is damaged, or holds no metadata.
    """
    metadata = header(data).get("__metadata__")
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise EmbeddingFormatError("The file holds no metadata: it was not written as a dti embedding.")
    return tensors(data), metadata


def header(data: bytes) -> dict[str, object]:
    """What a safetensors file says of itself: an entry per tensor, and `__metadata__` where it has some.

    Raises:
        EmbeddingFormatError: it is no safetensors file.
    """
    if not has_header(data):
        raise EmbeddingFormatError("The file is no safetensors file: its header's length is not plausible.")
    return read_object(data[_PREFIX_BYTES : _PREFIX_BYTES + _header_size(data)])


def has_header(data: bytes) -> bool:
    """Whether the file begins as safetensors does, with the length of a header that it has room for."""
    return _header_size(data) <= min(_HEADER_LIMIT_BYTES, len(data) - _PREFIX_BYTES)


def tensors(data: bytes) -> dict[str, Tensor]:
    """The tensors of a safetensors file whose header was looked at.

    Raises:
        EmbeddingFormatError: it is damaged.
    """
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, KeyError, ValueError, OverflowError, RuntimeError) as error:
        raise EmbeddingFormatError(f"The file's tensors cannot be read: {error}.") from error


def written_object(value: Mapping[str, object]) -> str:
    """An object as JSON, the same text whatever the order of its keys.

    Raises:
        EmbeddingFormatError: it holds what JSON cannot, such as a number that is not finite.
    """
    try:
        return json.dumps(dict(value), sort_keys=True, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise EmbeddingFormatError(f"{value!r} cannot be written as JSON: {error}.") from error


def read_object(text: str | bytes) -> dict[str, object]:
    """An object of a stranger's JSON.

    Raises:
        EmbeddingFormatError: it is no JSON object, names something twice, or holds a number that is not finite.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_each_once)
    except (ValueError, RecursionError) as error:
        raise EmbeddingFormatError(f"The file's header or settings are not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise EmbeddingFormatError(f"The file's header or settings are a JSON {type(value).__name__}, not an object.")
    return value


def _header_size(data: bytes) -> int:
    return int.from_bytes(data[:_PREFIX_BYTES], "little")


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise ValueError(f"{twice!r} stands in it twice")
    return dict(pairs)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number
