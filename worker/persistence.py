"""A worker's access to the database and the object store: short transactions, retried while either is unavailable.

A restart of the database or the store must not cost the hours of training that this process holds. It knows no engine
and no kind of job.
"""

import contextvars
import copy
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from sqlalchemy.orm import Session

from dti.embeddings.embedding import Embedding
from service.context import Service
from service.database.tables import Role
from service.errors import DatabaseUnavailableError, UnavailableError
from service.jobs import Claim, NewImage
from service.safety import SafetyVerdict
from service.storage import key_for
from worker.activity import Activity
from worker.outputs.encoding import PictureFile

RETRY_S = 0.5
"""Between two attempts: short beside a restart, long beside a refused connection."""

STORAGE_DEADLINE_S = 60.0
"""A restart of the object store takes less; in a longer outage the job returns to the queue. For the database a worker
waits without limit: without it there is no other work."""

STOPPING_DEADLINE_S = 8.0
"""How long a stopping worker tries to hand its jobs back; less than the supervisor waits for its end."""

LOG_EVERY_S = 10.0

DELIVERY_THREADS = 2
"""Encode pictures, store them and write results. Deliveries of one job never overlap; two jobs' may."""

_CACHED_EMBEDDINGS = 256

T = TypeVar("T")
log = logging.getLogger(__name__)


class Persistence:
    """The database and the object store of one worker.

    Args:
        service: the open parts.
        stopping: set when the worker is to end; actions are retried for STOPPING_DEADLINE_S at most from then on.
        activity: of the loop, which moves with every attempt.
    """

    def __init__(self, service: Service, stopping: threading.Event, activity: Activity | None = None) -> None:
        self._database = service.database
        self._storage = service.storage
        self._stopping = stopping
        self._activity = activity or Activity()
        self._stop_by: float | None = None
        self._threads = ThreadPoolExecutor(DELIVERY_THREADS, "delivery")
        self._delivered = threading.Event()
        # Keys contain the digest of their object, so a cached embedding can never be stale.
        self.embedding = lru_cache(_CACHED_EMBEDDINGS)(self._read_embedding)

    @property
    def delivering(self) -> "Persistence":
        """The same for the threads of `deliver`: their retries are no movement of the loop, which has a watchdog."""
        other = copy.copy(self)
        other._activity = Activity()  # noqa: SLF001 - of the same class
        return other

    def deliver(self, action: Callable[[], T]) -> "Future[T]":
        """Run an action in a thread of its own kind, while the device goes on with its work."""
        future = self._threads.submit(contextvars.copy_context().run, action)
        future.add_done_callback(lambda _: self._delivered.set())
        return future

    def wait_delivered(self, timeout_s: float) -> None:
        """Wait until a delivery has ended since the last call, or for a time."""
        self._delivered.wait(timeout_s)
        self._delivered.clear()

    def write(self, action: Callable[[Session], T]) -> T:
        """Run an action in one transaction and return its result.

        Raises:
            UnavailableError: the worker is stopping, and the database does not answer.
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
        started_at, logged_at = time.monotonic(), -LOG_EVERY_S
        while True:
            self._activity.moved()
            try:
                return action()
            except UnavailableError as error:
                now = time.monotonic()
                waits = isinstance(error, DatabaseUnavailableError) or now - started_at < STORAGE_DEADLINE_S
                if not waits or self._stopped_for_good(now):
                    raise
                if now - logged_at >= LOG_EVERY_S:
                    log.warning("Retrying: %s", error)
                    logged_at = now
            time.sleep(RETRY_S)

    def _stopped_for_good(self, now: float) -> bool:
        """Whether the worker is stopping and has tried for long enough, over all actions."""
        if not self._stopping.is_set():
            return False
        self._stop_by = self._stop_by or now + STOPPING_DEADLINE_S
        return now > self._stop_by
