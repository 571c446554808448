"""Storing an embedding and describing it: common to trainings, imports and blends. Knows no job."""

import hashlib

from dti.embeddings.embedding import Embedding
from dti.families import Family
from dti.neighbours import neighbours
from service.jobs import EncoderRows, StoredEmbedding
from service.rpc import MAX_NEIGHBOURS
from worker.persistence import Persistence


def store(
    persistence: Persistence, owner_id: str, prefix: str, embedding: Embedding, family: Family
) -> StoredEmbedding:
    """Put an embedding into the storage.

    Args:
        persistence: reaches the storage.
        owner_id: the embedding's owner.
        prefix: of the object's key, after the owner's.
        embedding: the embedding to store.
        family: the model that the embedding belongs to; its vocabulary has the neighbours.

    Returns:
        The description of the stored embedding, for the database.

    Raises:
        EmbeddingFormatError: it holds values that a file must not hold.
        EmbeddingMismatchError: it belongs to another model.
        UnavailableError: the storage did not answer until the deadline, or the worker is stopping.
    """
    data = embedding.to_bytes()
    nearest = neighbours(embedding, family, MAX_NEIGHBOURS)
    key = persistence.store(owner_id, prefix, data, extension="safetensors", content_type="application/octet-stream")
    return StoredEmbedding(
        sha256=hashlib.sha256(data).hexdigest(),
        key=key,
        encoders=_summary(embedding),
        bytes=len(data),
        steps=embedding.steps,
        neighbours=nearest,
    )


def _summary(embedding: Embedding) -> dict[str, EncoderRows]:
    """Shape and mean magnitude by encoder, so that the API need not read the file."""
    return {
        name: EncoderRows(
            vectors=rows.direction.shape[0],
            dim=rows.direction.shape[1],
            magnitude=float(rows.magnitude.mean()),
        )
        for name, rows in embedding.rows.items()
    }
