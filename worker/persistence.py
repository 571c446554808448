"""A worker's access to the database and the object store: short transactions, retried while either is unavailable.

A restart of the database or the store must not cost the hours of training that this process holds. It knows no engine
and no kind of job.
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
from service.storage import key_for
from worker.outputs.encoding import PictureFile

RETRY_S = 0.5
"""Between two attempts: short beside a restart, long beside a refused connection."""

RETRY_DEADLINE_S = 60.0
"""A restart takes less; a longer outage fails the action, and the job reports it."""

_CACHED_EMBEDDINGS = 256

T = TypeVar("T")
log = logging.getLogger(__name__)


class Persistence:
    """The database and the object store of one worker.

    Args:
        service: the open parts.
        stopping: set when the worker is to end; no action is retried from then on.
    """

    def __init__(self, service: Service, stopping: threading.Event) -> None:
        self._database = service.database
        self._storage = service.storage
        self._stopping = stopping
        # Keys contain the digest of their object, so a cached embedding can never be stale.
        self.embedding = lru_cache(_CACHED_EMBEDDINGS)(self._read_embedding)

    def write(self, action: Callable[[Session], T]) -> T:
        """Run an action in one transaction and return its result.

        Raises:
            UnavailableError: the database did not answer until the deadline, or the worker is stopping.
            LeaseLostError: the action wrote for a job that no longer belongs to this worker.
        """

        def transaction() -> T:
            with self._database.writing() as session:
                return action(session)

        return self._with_retries(transaction)

    def read(self, action: Callable[[Session], T]) -> T:
        """Run an action that only reads and return its result; raises as `write` does."""

        def transaction() -> T:
            with self._database.reading() as session:
                return action(session)

        return self._with_retries(transaction)

    def store(self, owner_id: str, prefix: str, data: bytes, *, extension: str, content_type: str) -> str:
        """Store bytes and return their key.

        Raises:
            UnavailableError: the object store did not answer until the deadline, or the worker is stopping.
        """
        key = key_for(owner_id, prefix, data, extension)
        self._with_retries(lambda: self._storage.put(key, data, content_type))
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
        """Store a picture of a job; the caller adds the returned row in a transaction. Raises as `store` does."""
        prefix = claim.prefix("images")
        key = self.store(claim.owner_id, prefix, file.data, extension=file.format, content_type=file.content_type)
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
            safety=verdict,
        )

    def fetch(self, key: str) -> bytes:
        """The bytes under a key.

        Raises:
            ObjectMissingError: there are none.
            UnavailableError: the object store did not answer until the deadline, or the worker is stopping.
        """
        return self._with_retries(lambda: self._storage.get(key))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects under some keys; raises as `store` does."""
        listed = list(keys)
        self._with_retries(lambda: self._storage.delete(listed))

    def _read_embedding(self, key: str) -> Embedding:
        return Embedding.from_bytes(self.fetch(key))

    def _with_retries(self, action: Callable[[], T]) -> T:
        deadline = time.monotonic() + RETRY_DEADLINE_S
        while True:
            try:
                return action()
            except UnavailableError as error:
                if time.monotonic() > deadline or self._stopping.wait(RETRY_S):
                    raise
                log.warning("Retrying: %s", error)
