"""RPCs: computed at once between two steps of the other jobs, because an HTTP request waits for the result.

Inputs and results are defined in service.kinds, where TASKS names a function of this module for each task; the last
writes in service.rpc; the computations in dti.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pkgutil import resolve_name
from typing import Generic, TypeVar

from PIL import Image
from sqlalchemy.orm import Session

from dti import formats
from dti.embeddings.embedding import Embedding
from dti.embeddings.mixing import blend
from dti.neighbours import neighbours
from dti.training.trainer import Run, Update
from service import rpc
from service.database.references import unreferenced
from service.jobs import Claim, StoredEmbedding
from service.kinds.rpc import (
    TASKS,
    BlendInput,
    ExportInput,
    ImportInput,
    InspectInput,
    NeighboursInput,
    Norms,
    RpcInput,
    task_of,
)
from worker.handlers import embeddings
from worker.handlers.base import Handler
from worker.loaded_model import LoadedModel
from worker.persistence import Persistence

RpcInputT = TypeVar("RpcInputT", bound=RpcInput)


class RpcHandler(Handler[RpcInput]):
    """One RPC; it is finished when `start` returns."""

    @property
    def slots(self) -> int:
        """None: an RPC has ended before the next claim."""
        return 0

    def start(self) -> None:
        """Compute and store the result."""
        call = RpcCall(self.claim, self.loaded_model, self._persistence)
        function_of(task_of(self.claim.input))(call)

    def collect(self, updates: Mapping[Run, Update]) -> bool:  # noqa: ARG002 - the common interface
        """The RPC has ended."""
        return True

    def abort(self) -> None:
        """Nothing to remove: an RPC enters no engine."""

    def checkpoint(self) -> None:
        """Nothing to store: another attempt starts over."""


@dataclass(frozen=True)
class RpcCall(Generic[RpcInputT]):
    """The claim of an RPC, and the means to carry it out."""

    claim: Claim[RpcInputT]
    model: LoadedModel
    persistence: Persistence

    @property
    def input(self) -> RpcInputT:
        """The input of its task."""
        return self.claim.input

    def embedding(self, position: int) -> Embedding:
        """The embedding of a pinned concept."""
        return self.persistence.embedding(_required(self.claim.concepts[position].embedding_key))

    def upload(self) -> bytes:
        """The file that came with the request."""
        return self.persistence.fetch(_required(self.claim.file_key))

    def store(self, embedding: Embedding) -> StoredEmbedding:
        """Store the embedding of a new concept."""
        prefix = self.claim.prefix("embeddings")
        return embeddings.store(self.persistence, self.claim.owner_id, prefix, embedding, self.model.family)

    def finish(self, key: str, finish: Callable[[Session], None]) -> None:
        """End the RPC in the database and delete its object if nothing refers to it.

        The key belongs to this attempt alone, so no other row can start to refer to it between look-up and deletion.
        """
        try:
            self.persistence.write(finish)
        finally:
            # Also without an error: an RPC that was cancelled meanwhile ends without its object.
            self.persistence.delete(self.persistence.read(lambda session: unreferenced(session, [key])))


@cache
def function_of(task: str) -> Callable[[RpcCall[RpcInput]], None]:
    """The function that TASKS names for a task."""
    found: Callable[[RpcCall[RpcInput]], None] = resolve_name(TASKS[task].function)
    return found


def import_embedding(call: RpcCall[ImportInput]) -> None:
    """Create a concept from a file; on failure the stored embedding is deleted."""
    converted = formats.convert(
        formats.detect_and_read(call.upload()),
        family=call.model.family,
        trigger=call.input.name,
        class_word=call.input.class_word,
        normalize=call.input.normalize,
    )
    norms = {
        encoder: Norms(before=before, after=converted.norms_after[encoder])
        for encoder, before in converted.norms_before.items()
    }
    stored = call.store(converted.embedding)
    call.finish(stored.key, lambda session: rpc.finish_import(session, call.claim, stored, norms))


def blend_embeddings(call: RpcCall[BlendInput]) -> None:
    """Create a concept from the mean of others; on failure the stored embedding is deleted."""
    parts = [call.embedding(position) for position in range(len(call.claim.concepts))]
    blended = blend(list(zip(parts, call.input.weights, strict=True)))
    stored = call.store(replace(blended, trigger=call.input.name))
    call.finish(stored.key, lambda session: rpc.finish_blend(session, call.claim, stored))


def export_embedding(call: RpcCall[ExportInput]) -> None:
    """Store a concept's embedding as a file of another tool."""
    data, extension = formats.write(call.embedding(0), call.input.format)
    key = call.persistence.store(
        call.claim.owner_id,
        call.claim.prefix("rpc"),
        data,
        extension=extension.removeprefix("."),
        content_type="application/octet-stream",
    )
    call.finish(key, lambda session: rpc.finish_export(session, call.claim, key, extension))


def find_neighbours(call: RpcCall[NeighboursInput]) -> None:
    """Find the words nearest to a concept's rows."""
    nearest = neighbours(call.embedding(0), call.model.family, rpc.MAX_NEIGHBOURS)
    call.persistence.write(lambda session: rpc.finish_neighbours(session, call.claim, nearest))


def inspect_pictures(call: RpcCall[InspectInput]) -> None:
    """Run the safety check on stored pictures."""
    files = (call.persistence.fetch(key) for key in call.input.picture_keys)
    verdicts = [call.model.safety_filter.assess(Image.open(io.BytesIO(data))) for data in files]
    call.persistence.write(lambda session: rpc.finish_inspection(session, call.claim, verdicts))


def _required(key: str | None) -> str:
    if key is None:
        raise AssertionError("An import has a file, and the concepts of an RPC are ready.")
    return key
