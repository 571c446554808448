"""What a worker writes down and looks up: short transactions and objects, tried again while either is down.

A database or store that restarts must not cost the hours of training in this process. It knows no engine and no kind
of job.
"""

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TypeVar

from sqlalchemy.orm import Session

from dti.embeddings.embedding import Embedding
from service.context import Service
from service.database.tables import Role
from service.errors import UnavailableError
from service.jobs import Claim, NewImage
from service.safety import SafetyVerdict
from service.storage import name_for
from worker.outputs.encoding import PictureFile

RETRY_S = 0.5
"""Between two tries: short beside a restart, long beside a refused connection."""

RETRY_DEADLINE_S = 60.0
"""A restart is over by then; what still does not answer is wrong, and the job says so."""

_KEPT_EMBEDDINGS = 256

T = TypeVar("T")
log = logging.getLogger(__name__)


class Persistence:
    """One worker's access to the database and the objects.

    Args:
        service: the open parts.
        stopping: set when the worker is to end; nothing is tried again from then on.
    """

    def __init__(self, service: Service, stopping: threading.Event) -> None:
        self._database = service.database
        self._objects = service.storage
        self._stopping = stopping
        # Objects are named by their content: what was read once under a key is right for good.
        self.embedding = lru_cache(_KEPT_EMBEDDINGS)(self._read_embedding)

    def write(self, action: Callable[[Session], T]) -> T:
        """The result of an action in one transaction.

        Raises:
            UnavailableError: the database did not answer for a minute, or the worker is stopping.
            LeaseLostError: the action wrote for a job that is no longer this worker's.
        """

        def transaction() -> T:
            with self._database.writing() as session:
                return action(session)

        return self._patiently(transaction)

    def read(self, action: Callable[[Session], T]) -> T:
        """The result of an action that writes nothing; raises as `write` does."""

        def transaction() -> T:
            with self._database.reading() as session:
                return action(session)

        return self._patiently(transaction)

    def store(self, owner_id: str, room: str, data: bytes, *, extension: str, content_type: str) -> str:
        """The key under which some bytes are stored now.

        Raises:
            UnavailableError: the store did not answer for a minute, or the worker is stopping.
        """
        key = name_for(owner_id, room, data, extension)
        self._patiently(lambda: self._objects.put(key, data, content_type))
        return key

    def store_image(
        self,
        claim: Claim,
        role: Role,
        position: int,
        file: PictureFile,
        *,
        seed: int | None = None,
        prompt: str | None = None,
        share: float | None = None,
        verdict: SafetyVerdict | None = None,
    ) -> NewImage:
        """A picture of a job, stored; to be added to the job in a transaction. Raises as `store` does."""
        room = claim.room("images")
        key = self.store(claim.owner_id, room, file.data, extension=file.format, content_type=file.content_type)
        return NewImage(
            role=role,
            position=position,
            key=key,
            sha256=hashlib.sha256(file.data).hexdigest(),
            content_type=file.content_type,
            width=file.width,
            height=file.height,
            bytes=len(file.data),
            seed=seed,
            prompt=prompt,
            share=share,
            safety=verdict.told() if verdict else None,
        )

    def fetch(self, key: str) -> bytes:
        """The bytes under a key.

        Raises:
            ObjectMissingError: there are none.
            UnavailableError: the store did not answer for a minute, or the worker is stopping.
        """
        return self._patiently(lambda: self._objects.get(key))

    def discard(self, keys: Iterable[str]) -> None:
        """Forget what is under the keys; raises as `store` does."""
        doomed = list(keys)
        self._patiently(lambda: self._objects.delete(doomed))

    def _read_embedding(self, key: str) -> Embedding:
        return Embedding.from_bytes(self.fetch(key))

    def _patiently(self, action: Callable[[], T]) -> T:
        deadline = time.monotonic() + RETRY_DEADLINE_S
        while True:
            try:
                return action()
            except UnavailableError as error:
                if time.monotonic() > deadline or self._stopping.wait(RETRY_S):
                    raise
                log.warning("Trying again: %s", error)
