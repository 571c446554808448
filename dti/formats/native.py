"""Our own file; see `dti.embeddings.embedding`. It alone says for which model and how a concept was learned."""

from dti.embeddings.embedding import Embedding
from dti.formats.external import Content


def read(content: Content) -> Embedding | None:
    """The embedding, as it was written."""
    return Embedding.from_bytes(content.data) if content.metadata.get("format") == "dti" else None


def write(embedding: Embedding) -> tuple[bytes, str]:
    """Directions and magnitudes, with all that is known of them."""
    return embedding.to_bytes(), ".safetensors"
