"""What was learned, put into the storage and told: the same for trainings, imports and blends. Knows no job."""

import hashlib

from dti.embeddings.embedding import Embedding
from dti.families import Family
from dti.neighbours import neighbours
from service.jobs import EmbeddingMade
from service.rpc import KEPT_NEIGHBOURS
from worker.persistence import Persistence


def store(ledger: Persistence, owner_id: str, room: str, embedding: Embedding, family: Family) -> EmbeddingMade:
    """What is to be written of an embedding, which lies in the storage from now on.

    Args:
        ledger: reaches the storage.
        owner_id: whose it is.
        room: where in the storage.
        embedding: what was learned.
        family: the model that it was learned for, whose words are its neighbours.

    Raises:
        EmbeddingFormatError: it holds something that a file must not.
        EmbeddingMismatchError: it was learned for another model.
        UnavailableError: the store did not answer for a minute, or the worker is stopping.
    """
    data = embedding.to_bytes()
    found = neighbours(embedding, family, KEPT_NEIGHBOURS)
    key = ledger.store(owner_id, room, data, extension="safetensors", content_type="application/octet-stream")
    return EmbeddingMade(
        sha256=hashlib.sha256(data).hexdigest(),
        key=key,
        encoders=_outline(embedding),
        bytes=len(data),
        steps=embedding.steps,
        neighbours=found,
    )


def _outline(embedding: Embedding) -> dict[str, dict[str, int | float]]:
    """What is told of an embedding without reading it."""
    return {
        name: {
            "vectors": rows.direction.shape[0],
            "dim": rows.direction.shape[1],
            "magnitude": float(rows.magnitude.mean()),
        }
        for name, rows in embedding.rows.items()
    }
