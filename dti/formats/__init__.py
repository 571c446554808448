"""Embedding files of this and other tools: detection, reading, conversion and writing. `FORMATS` lists the formats.

A format is detected by a file's content, never by its name, and nothing in a file is executed. A new format is a module
here, a line in `FORMATS`, and its name in `dti.spec.settings.EmbeddingFormat`.
"""

from collections.abc import Mapping
from pathlib import Path

from dti.embeddings.embedding import Embedding
from dti.errors import EmbeddingFormatError
from dti.formats import a1111, comfyui, diffusers, native, replicate
from dti.formats.conversion import METHOD, ConvertedEmbedding, convert, rows_by_encoder
from dti.formats.external import ExternalEmbedding, Format, shown
from dti.formats.unpacking import LIMIT_BYTES, check_size, unpack
from dti.spec.settings import EmbeddingFormat

__all__ = [
    "FORMATS",
    "LIMIT_BYTES",
    "METHOD",
    "ConvertedEmbedding",
    "ExternalEmbedding",
    "convert",
    "detect_and_read",
    "load",
    "rows_by_encoder",
    "write",
]

FORMATS: Mapping[EmbeddingFormat, Format] = {
    "dti": Format(native.read, native.write),
    "replicate": Format(replicate.read, replicate.write),
    "comfyui": Format(comfyui.read, comfyui.write),
    "a1111": Format(a1111.read, a1111.write),
    "diffusers": Format(diffusers.read, diffusers.write),
}
"""Formats in detection order; diffusers is last, because its tensors may have any name."""


def detect_and_read(data: bytes) -> Embedding | ExternalEmbedding:
    """Read a file of any known format: `dti` files as embeddings, others as external embeddings.

    Raises:
        EmbeddingFormatError: the file is damaged, or of no known format.
    """
    content = unpack(data)
    for known in FORMATS.values():
        found = known.read(content)
        if found is not None:
            return found
    held = ", ".join(map(shown, list(content.entries)[:8])) or "nothing"
    raise EmbeddingFormatError(f"The file holds {held}: that is none of the formats {', '.join(FORMATS)}.")


def load(path: Path) -> Embedding | ExternalEmbedding:
    """Read a file after a check of its size; see `detect_and_read`."""
    check_size(path.stat().st_size)
    return detect_and_read(path.read_bytes())


def write(embedding: Embedding, format: EmbeddingFormat) -> tuple[bytes, str]:  # noqa: A002 - the API's word
    """Write an embedding as a file of a format.

    Other tools' formats hold the rows only, exactly, in float32; model and training settings are in `dti` files only.

    Returns:
        The bytes, and the file name's extension: ".safetensors", ".pt", ".pti" or ".zip".

    Raises:
        EmbeddingFormatError: the embedding contains values that are not allowed in a file.
    """
    return FORMATS[format].write(embedding)
