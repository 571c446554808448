"""RPCs: computed at once between two steps of the other jobs, because an HTTP request waits for the result.

Inputs and results are defined in service.rpc; the computations, in dti.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from PIL import Image
from sqlalchemy.orm import Session

from dti import formats
from dti.embeddings.embedding import Embedding
from dti.embeddings.mixing import blend
from dti.neighbours import neighbours
from dti.training.trainer import Run, Update
from service import rpc
from service.database.references import unreferenced
from service.jobs import Claim
from worker.handlers import embeddings
from worker.handlers.base import Handler
from worker.loaded_model import LoadedModel
from worker.persistence import Persistence


class RpcHandler(Handler):
    """One RPC; it is finished when `start` returns."""

    def __init__(self, claim: Claim, loaded_model: LoadedModel, persistence: Persistence) -> None:
        super().__init__(claim, loaded_model, persistence)
        self._tasks: Mapping[rpc.Task, Callable[[], None]] = {
            "import": self._import,
            "blend": self._blend,
            "export": self._export,
            "neighbours": self._neighbours,
            "inspect": self._inspect,
        }

    @property
    def pictures(self) -> int:
        """None: an RPC enters no engine."""
        return 0

    def start(self) -> None:
        """Compute and store the result."""
        self._tasks[self.claim.input["task"]]()

    def collect(self, updates: Mapping[Run, Update]) -> bool:  # noqa: ARG002 - the common interface
        """The RPC has ended."""
        return True

    def abort(self) -> None:
        """Nothing to remove: an RPC enters no engine."""

    def checkpoint(self) -> None:
        """Nothing to store: another attempt starts over."""

    def _import(self) -> None:
        converted = formats.convert(
            formats.detect_and_read(self._persistence.fetch(_required(self.claim.file_key))),
            family=self.loaded_model.family,
            trigger=self.claim.input["concept"]["name"],
            class_word=self.claim.input["concept"]["class_word"],
            normalize=self.claim.input["normalize"],
        )
        norms = {
            encoder: {"before": before, "after": converted.norms_after[encoder]}
            for encoder, before in converted.norms_before.items()
        }
        self._create_concept(converted.embedding, details={"norms": norms})

    def _blend(self) -> None:
        parts = [self._embedding(position) for position in range(len(self.claim.concepts))]
        blended = blend(list(zip(parts, self.claim.input["weights"], strict=True)))
        self._create_concept(replace(blended, trigger=self.claim.input["concept"]["name"]), details={})

    def _export(self) -> None:
        data, extension = formats.write(self._embedding(0), self.claim.input["format"])
        key = self._persistence.store(
            self.claim.owner_id,
            self.claim.prefix("rpc"),
            data,
            extension=extension.removeprefix("."),
            content_type="application/octet-stream",
        )
        self._finish(key, lambda session: rpc.finish_export(session, self.claim, key, extension))

    def _neighbours(self) -> None:
        nearest = neighbours(self._embedding(0), self.loaded_model.family, rpc.KEPT_NEIGHBOURS)
        self._persistence.write(lambda session: rpc.finish_neighbours(session, self.claim, nearest))

    def _inspect(self) -> None:
        verdicts = [self._assess(self._persistence.fetch(key)) for key in self.claim.input["pictures"]]
        self._persistence.write(lambda session: rpc.finish_inspection(session, self.claim, verdicts))

    def _assess(self, data: bytes) -> Mapping[str, Any]:
        return self.loaded_model.safety_filter.assess(Image.open(io.BytesIO(data))).told()

    def _create_concept(self, embedding: Embedding, details: Mapping[str, Any]) -> None:
        """Create a concept from an embedding; on failure the stored file is deleted."""
        stored = embeddings.store(
            self._persistence, self.claim.owner_id, self.claim.prefix("embeddings"), embedding, self.loaded_model.family
        )
        finish = partial(rpc.finish_concept, claim=self.claim, made=stored, told=details)
        self._finish(stored.key, finish)

    def _finish(self, key: str, finish: Callable[[Session], None]) -> None:
        """End the RPC in the database and delete its object if nothing refers to it.

        The key belongs to this attempt alone, so no other row can start to refer to it between look-up and deletion.
        """
        try:
            self._persistence.write(finish)
        finally:
            # Also without an error: an RPC that was cancelled meanwhile ends without its object.
            self._persistence.delete(self._persistence.read(lambda session: unreferenced(session, [key])))

    def _embedding(self, position: int) -> Embedding:
        return self._persistence.embedding(_required(self.claim.concepts[position].embedding_key))


def _required(key: str | None) -> str:
    if key is None:
        raise AssertionError("An import has a file, and the concepts of an RPC are ready.")
    return key
