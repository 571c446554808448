"""Replicate's `embeddings.pti`: safetensors with `text_encoders_0`, `text_encoders_1`, one row per inserted token.

The token names (`<s0>`, `<s1>`, …) are in a separate file.

Source: replicate/cog-sdxl, dataset_and_utils.py, `TokenEmbeddingsHandler`.
"""

import re

from dti.embeddings import file as embedding_file
from dti.embeddings.embedding import Embedding
from dti.formats.external import Content, ExternalEmbedding, rows_of

_PREFIX = "text_encoders_"
_NAME = re.compile(rf"{_PREFIX}[0-9]")


def read(content: Content) -> ExternalEmbedding | None:
    """Read one tensor per encoder, numbered from 0."""
    if not content.entries or not all(map(_NAME.fullmatch, content.entries)):
        return None
    return ExternalEmbedding(
        format="replicate",
        vectors={_encoder(name): rows_of(name, value) for name, value in content.entries.items()},
        trigger=None,
    )


def write(embedding: Embedding) -> tuple[bytes, str]:
    """Write one file for all encoders, in order."""
    tensors = {f"{_PREFIX}{i}": embedding.rows[name].vectors for i, name in enumerate(sorted(embedding.rows))}
    return embedding_file.write(tensors, {"format": "pt"}), ".pti"


def _encoder(name: str) -> str:
    """Name in diffusers, which numbers from 1 and omits the first number."""
    number = int(name.removeprefix(_PREFIX)) + 1
    return "text_encoder" if number == 1 else f"text_encoder_{number}"
