"""The `dti` format, with the model and training settings of a concept; see `dti.embeddings.embedding`."""

from dti.embeddings.embedding import Embedding
from dti.formats.external import Content


def read(content: Content) -> Embedding | None:
    """Read the embedding."""
    return Embedding.from_bytes(content.data) if content.metadata.get("format") == "dti" else None


def write(embedding: Embedding) -> tuple[bytes, str]:
    """Write directions, magnitudes and metadata."""
    return embedding.to_bytes(), ".safetensors"
