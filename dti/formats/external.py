"""What every format speaks of: a file's content, the rows found in it, and what a format can do.

Owns which tensors may be rows at all: their type, shape, size and values. It knows no particular format, no model, and
not how bytes become content.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from dti.embeddings.embedding import Embedding
from dti.errors import EmbeddingFormatError

ROWS_LIMIT, WIDTH_LIMIT = 128, 16384
"""No prompt of any model takes more rows, and no text encoder has wider ones."""

_READ_AS_FLOAT32 = (torch.float32, torch.float16, torch.bfloat16)

_NAME_LIMIT = 80
"""Characters of a stranger's name that are repeated or kept."""


@dataclass(frozen=True, eq=False)
class Content:
    """A file, unpacked but not yet believed.

    Attributes:
        data: its bytes.
        entries: what it holds by name: tensors, and in pickles and archives mappings of them and plain values.
        metadata: of a safetensors file.
    """

    data: bytes
    entries: Mapping[str, object]
    metadata: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, eq=False)
class ExternalEmbedding:
    """A concept as another tool wrote it, read and checked; for which model it is, the file does not say.

    Attributes:
        format: a name of `FORMATS`.
        vectors: rows `(n, d)` in float32, by encoder; None is the one tensor of a file that names no encoder.
        trigger: what the file calls the concept, without angle brackets; None where it does not.
    """

    format: str
    vectors: Mapping[str | None, Tensor]
    trigger: str | None


@dataclass(frozen=True, slots=True)
class Format:
    """A way in which embeddings are kept in files.

    Attributes:
        read: the concept in a file of this format; None for a file of another; EmbeddingFormatError for a bad one.
        write: an embedding as bytes, and the ending that the file's name is to have.
    """

    read: Callable[[Content], Embedding | ExternalEmbedding | None]
    write: Callable[[Embedding], tuple[bytes, str]]


def rows_of(name: str, value: object) -> Tensor:
    """A tensor of a stranger's as rows `(n, d)` in float32; `(d,)` is one row.

    Args:
        name: what the file calls it.
        value: what the file holds under that name.

    Raises:
        EmbeddingFormatError: what is wrong with it.
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
    """What a file calls its concept, without angle brackets; None where that is nothing that a person would say."""
    bare = name.removeprefix("<").removesuffix(">") if isinstance(name, str) else ""
    return bare if bare.isprintable() and 1 <= len(bare) <= _NAME_LIMIT else None


def shown(name: object) -> str:
    """A stranger's name as a message repeats it: quoted, and not at any length."""
    text = str(name)
    return repr(text if len(text) <= _NAME_LIMIT else f"{text[:_NAME_LIMIT]}…")


def _check_shape(called: str, rows: torch.Size, found: torch.Size) -> None:
    if len(rows) != 2 or not (1 <= rows[0] <= ROWS_LIMIT and 2 <= rows[1] <= WIDTH_LIMIT):  # noqa: PLR2004 - rows by numbers
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
