"""Safetensors files of float32 tensors and string metadata: deterministic writing, and reading of untrusted files."""

import json
import math
import struct
from collections.abc import Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from dti.errors import EmbeddingFormatError

_HEADER_LIMIT_BYTES = 1 << 20
"""Maximum header size, far above that of any embedding."""

_PREFIX_BYTES = 8
"""Size of the header's length field at the start of the file."""


def write(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Serialise tensors and metadata in the order given; the library's writer orders them by a random hash seed.

    Args:
        tensors: float32, on the CPU.
        metadata: strings for the header.
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
        EmbeddingFormatError: the file is not safetensors, is damaged, or has no metadata.
    """
    metadata = header(data).get("__metadata__")
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise EmbeddingFormatError("The file holds no metadata: it was not written as a dti embedding.")
    return tensors(data), metadata


def header(data: bytes) -> dict[str, object]:
    """Header of a safetensors file: an entry per tensor, and optionally `__metadata__`.

    Raises:
        EmbeddingFormatError: the file is not safetensors.
    """
    if not has_header(data):
        raise EmbeddingFormatError("The file is no safetensors file: its header's length is not plausible.")
    return read_object(data[_PREFIX_BYTES : _PREFIX_BYTES + _header_size(data)])


def has_header(data: bytes) -> bool:
    """Whether the file starts with a plausible safetensors header length."""
    return _header_size(data) <= min(_HEADER_LIMIT_BYTES, len(data) - _PREFIX_BYTES)


def tensors(data: bytes) -> dict[str, Tensor]:
    """Tensors of a safetensors file with a checked header.

    Raises:
        EmbeddingFormatError: the file is damaged.
    """
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, KeyError, ValueError, OverflowError, RuntimeError) as error:
        raise EmbeddingFormatError(f"The file's tensors cannot be read: {error}.") from error


def written_object(value: Mapping[str, object]) -> str:
    """An object as JSON, independent of the order of its keys.

    Raises:
        EmbeddingFormatError: it contains values that JSON cannot represent, such as non-finite numbers.
    """
    try:
        return json.dumps(dict(value), sort_keys=True, allow_nan=False)
    except (ValueError, TypeError, RecursionError) as error:
        raise EmbeddingFormatError(f"{value!r} cannot be written as JSON: {error}.") from error


def read_object(text: str | bytes) -> dict[str, object]:
    """Parse untrusted JSON as an object.

    Raises:
        EmbeddingFormatError: it is not a JSON object, has duplicate keys, or contains non-finite numbers.
    """
    try:
        value = json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise EmbeddingFormatError(f"The file's header or settings are not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise EmbeddingFormatError(f"The file's header or settings are a JSON {type(value).__name__}, not an object.")
    return value


def _header_size(data: bytes) -> int:
    return int.from_bytes(data[:_PREFIX_BYTES], "little")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise ValueError(f"{twice!r} is a duplicate key")
    return dict(pairs)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a finite number")
    return number
