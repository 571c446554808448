"""RPCs: done at once between two steps of the others, because a request waits for them.

What is asked and what is written at the end stands in service.rpc; what is computed, in dti.
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
from worker.handlers.base import Handler, now
from worker.loaded_model import LoadedModel
from worker.persistence import Persistence


class RpcHandler(Handler):
    """One RPC, which has ended when it has begun."""

    def __init__(self, claim: Claim, station: LoadedModel, ledger: Persistence) -> None:
        super().__init__(claim, station, ledger)
        self._tasks: Mapping[rpc.Task, Callable[[], None]] = {
            "import": self._import,
            "blend": self._blend,
            "export": self._export,
            "neighbours": self._neighbours,
            "inspect": self._inspect,
        }

    @property
    def pictures(self) -> int:
        """None: it enters no engine."""
        return 0

    def begin(self) -> None:
        """Do all of it."""
        self._tasks[self.claim.input["task"]]()

    def settle(self, updates: Mapping[Run, Update]) -> bool:  # noqa: ARG002 - one border for all kinds of jobs
        """It has ended."""
        return True

    def leave(self) -> None:
        """Nothing: it is in no engine."""

    def keep(self) -> None:
        """Nothing: another attempt begins anew."""

    def _import(self) -> None:
        adopted = formats.adopt(
            formats.detect_and_read(self._ledger.fetch(_there(self.claim.file_key))),
            family=self.station.family,
            trigger=self.claim.input["concept"]["name"],
            class_word=self.claim.input["concept"]["class_word"],
            normalize=self.claim.input["normalize"],
        )
        norms = {
            encoder: {"before": before, "after": adopted.norms_after[encoder]}
            for encoder, before in adopted.norms_before.items()
        }
        self._make(adopted.embedding, told={"norms": norms})

    def _blend(self) -> None:
        parts = [self._embedding(position) for position in range(len(self.claim.concepts))]
        blended = blend(list(zip(parts, self.claim.input["weights"], strict=True)))
        self._make(replace(blended, trigger=self.claim.input["concept"]["name"]), told={})

    def _export(self) -> None:
        data, extension = formats.write(self._embedding(0), self.claim.input["format"])
        key = self._ledger.store(
            self.claim.owner_id,
            self.claim.room("rpc"),
            data,
            extension=extension.removeprefix("."),
            content_type="application/octet-stream",
        )
        self._write(key, lambda session: rpc.finish_export(session, self.claim, key, extension, now()))

    def _neighbours(self) -> None:
        found = neighbours(self._embedding(0), self.station.family, rpc.KEPT_NEIGHBOURS)
        self._ledger.write(lambda session: rpc.finish_neighbours(session, self.claim, found, now()))

    def _inspect(self) -> None:
        verdicts = [self._verdict(self._ledger.fetch(key)) for key in self.claim.input["pictures"]]
        self._ledger.write(lambda session: rpc.finish_inspection(session, self.claim, verdicts, now()))

    def _verdict(self, data: bytes) -> Mapping[str, Any]:
        return self.station.inspector.judge(Image.open(io.BytesIO(data))).told()

    def _make(self, embedding: Embedding, told: Mapping[str, Any]) -> None:
        """Make a concept of an embedding, or leave nothing behind."""
        made = embeddings.store(
            self._ledger, self.claim.owner_id, self.claim.room("embeddings"), embedding, self.station.family
        )
        finish = partial(rpc.finish_concept, claim=self.claim, made=made, now=now(), told=told)
        self._write(made.key, finish)

    def _write(self, key: str, finish: Callable[[Session], None]) -> None:
        """Write the end of the RPC, or forget the object that was stored for it.

        Its name is this attempt's own: nobody can have begun to refer to it after it was looked for.
        """
        try:
            self._ledger.write(finish)
        finally:
            # Also without an error: an RPC that was called off meanwhile has ended without it.
            self._ledger.discard(self._ledger.read(lambda session: unreferenced(session, [key])))

    def _embedding(self, position: int) -> Embedding:
        return self._ledger.embedding(_there(self.claim.concepts[position].embedding_key))


def _there(key: str | None) -> str:
    if key is None:
        raise AssertionError("An import has a file, and an RPC is about concepts that are ready.")
    return key
