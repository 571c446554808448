"""Embeddings of other tools: read, adopted for a model, written. `FORMATS` lists the formats; one file has one.

A file's format is told by what it holds, never by its name, and nothing in a file is executed. A new one is a file
here, a line in `FORMATS`, and its name in `dti.spec.EmbeddingFormat`, by which HTTP and the command line know it.
"""

from collections.abc import Mapping
from pathlib import Path

from dti.embeddings.embedding import Embedding
from dti.errors import EmbeddingFormatError
from dti.formats import a1111, comfyui, diffusers, native, replicate
from dti.formats.conversion import METHOD, Adopted, adopt, fitted
from dti.formats.external import Foreign, Format, shown
from dti.formats.unpacking import LIMIT_BYTES, check_size, unpack
from dti.spec.settings import EmbeddingFormat

__all__ = [
    "FORMATS",
    "LIMIT_BYTES",
    "METHOD",
    "Adopted",
    "Foreign",
    "adopt",
    "detect_and_read",
    "fitted",
    "load",
    "write",
]

FORMATS: Mapping[EmbeddingFormat, Format] = {
    "dti": Format(native.read, native.write),
    "replicate": Format(replicate.read, replicate.write),
    "comfyui": Format(comfyui.read, comfyui.write),
    "a1111": Format(a1111.read, a1111.write),
    "diffusers": Format(diffusers.read, diffusers.write),
}
"""In the order in which a file is offered to them: diffusers' name for a tensor may be any."""


def detect_and_read(data: bytes) -> Embedding | Foreign:
    """The concept in a file of any known format: ours as an embedding, others' as what they are.

    Raises:
        EmbeddingFormatError: what is wrong with the file.
    """
    content = unpack(data)
    for known in FORMATS.values():
        found = known.read(content)
        if found is not None:
            return found
    held = ", ".join(map(shown, list(content.entries)[:8])) or "nothing"
    raise EmbeddingFormatError(f"The file holds {held}: that is none of the formats {', '.join(FORMATS)}.")


def load(path: Path) -> Embedding | Foreign:
    """Read a file, unless it is far too large for an embedding; see `detect_and_read`."""
    check_size(path.stat().st_size)
    return detect_and_read(path.read_bytes())


def write(embedding: Embedding, format: EmbeddingFormat) -> tuple[bytes, str]:  # noqa: A002 - the API's word
    """An embedding as a file of a format.

    Other tools keep the rows alone, in float32 and bit for bit; for which model and how they were learned, only our
    own format says.

    Returns:
        The bytes, and the ending that the file's name is to have: ".safetensors", ".pt", ".pti" or ".zip".

    Raises:
        EmbeddingFormatError: the embedding holds something that a file must not.
    """
    return FORMATS[format].write(embedding)
