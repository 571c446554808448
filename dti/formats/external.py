"""Common types of embedding formats: unpacked content, external embeddings, formats, and validation of rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dti.embeddings.embedding import Embedding
from dti.errors import EmbeddingFormatError

ROWS_LIMIT, WIDTH_LIMIT = 128, 16384
"""Maximum rows and width, above those of any supported model."""

_READ_AS_FLOAT32 = (torch.float32, torch.float16, torch.bfloat16)

_NAME_LIMIT = 80
"""Maximum length in characters of an untrusted name in messages and results."""


@dataclass(frozen=True, eq=False)
class Content:
    """Content of a file, unpacked but not validated.

    Attributes:
        data: the file's bytes.
        entries: values by name: tensors, and in pickles and archives also mappings and plain values.
        metadata: metadata of a safetensors file.
    """

    data: bytes
    entries: Mapping[str, object]
    metadata: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExternalEmbedding:
    """A validated embedding from another tool, for an unknown model.

    Attributes:
        format: a name of `FORMATS`.
        vectors: rows `(n, d)` in float32, by encoder; the key None stands for an unnamed encoder.
        trigger: the concept's name in the file, without angle brackets; None if the file has none.
    """

    format: str
    vectors: Mapping[str | None, Tensor]
    trigger: str | None


@dataclass(frozen=True, slots=True)
class Format:
    """A file format.

    Attributes:
        read: reads a file; returns None for another format, raises EmbeddingFormatError for an invalid file.
        write: returns an embedding's bytes and the file name's extension.
    """

    read: Callable[[Content], Embedding | ExternalEmbedding | None]
    write: Callable[[Embedding], tuple[bytes, str]]


def rows_of(name: str, value: object) -> Tensor:
    """Validate an untrusted value as rows `(n, d)` in float32; `(d,)` is one row.

    Args:
        name: its name in the file.
        value: the value.

    Raises:
        EmbeddingFormatError: type, shape or values are invalid.
    """
    called = shown(name)
    if not isinstance(value, Tensor):
        raise EmbeddingFormatError(f"{called} is a {type(value).__name__}, not a tensor of rows.")
    if value.layout != torch.strided or value.dtype not in _READ_AS_FLOAT32:
        raise EmbeddingFormatError(
            f"{called} is {value.dtype} ({value.layout}); rows are float32, float16 or bfloat16, and dense."
        )
    rows = value.detach().reshape(1, -1) if value.dim() == 1 else value.detach()
    _check_shape(called, rows.shape, value.shape)
    rows = rows.float().contiguous()
    _check_values(called, rows)
    return rows


def trigger_of(name: object) -> str | None:
    """A concept's name in a file, without angle brackets; None if missing, unprintable or too long."""
    bare = name.removeprefix("<").removesuffix(">") if isinstance(name, str) else ""
    return bare if bare.isprintable() and 1 <= len(bare) <= _NAME_LIMIT else None


def shown(name: object) -> str:
    """An untrusted name for messages: quoted and truncated."""
    text = str(name)
    return repr(text if len(text) <= _NAME_LIMIT else f"{text[:_NAME_LIMIT]}…")


def _check_shape(called: str, rows: torch.Size, found: torch.Size) -> None:
    if len(rows) != 2 or not (1 <= rows[0] <= ROWS_LIMIT and 2 <= rows[1] <= WIDTH_LIMIT):  # noqa: PLR2004 - (n, d)
        raise EmbeddingFormatError(
            f"{called} has the shape {tuple(found)}; rows are (n, d), n from 1 to {ROWS_LIMIT}, d from 2 to "
            f"{WIDTH_LIMIT}."
        )


def _check_values(called: str, rows: Tensor) -> None:
    if not rows.isfinite().all():
        raise EmbeddingFormatError(f"{called} holds numbers that are not finite.")
    norms = torch.linalg.vector_norm(rows.double(), dim=-1)
    if not ((norms >= torch.finfo(torch.float32).tiny) & (norms <= torch.finfo(torch.float32).max)).all():
        raise EmbeddingFormatError(f"{called} holds a row of norm {float(norms.min()):g}: it has no direction.")
