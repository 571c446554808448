"""A worker's hold on its jobs: a thread that renews their leases and says that the worker is there.

A thread, because loading a model or one step of a large one may take longer than a lease. It has its own short
transactions and never touches the device.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from service import jobs, workers
from service.context import Service
from service.errors import UnavailableError
from service.jobs import Claim
from service.workers import Presence

BEATS_A_LEASE = 3
"""Two beats may be missed before a job is taken away."""

log = logging.getLogger(__name__)


class Heartbeat:
    """Beats while it is entered.

    Args:
        service: the open parts.
        presence: what is said of the worker with every beat; called from the thread.
    """

    def __init__(self, service: Service, presence: Callable[[], Presence]) -> None:
        self._database = service.database
        self._lease_s = service.settings.lease_s
        self._presence = presence
        self._held: dict[str, Claim] = {}
        self._lost: set[str] = set()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep_beating, name="lease", daemon=True)

    def hold(self, claims: Iterable[Claim]) -> None:
        """Renew these from now on."""
        with self._lock:
            self._held.update({claim.job_id: claim for claim in claims})

    def give_up(self, claim: Claim) -> None:
        """Renew this no longer."""
        with self._lock:
            self._held.pop(claim.job_id, None)
            self._lost.discard(claim.job_id)

    def lost(self, claim: Claim) -> bool:
        """Whether a beat has found that the job is no longer this worker's."""
        with self._lock:
            return claim.job_id in self._lost

    def beat(self) -> None:
        """Renew everything that is held, and say that the worker is there.

        Raises:
            DatabaseUnavailableError: nothing was renewed.
        """
        presence, now = self._presence(), datetime.now(UTC)
        with self._lock:
            held = list(self._held.values())
        with self._database.writing() as session:
            workers.seen(session, presence, now)
            lost = jobs.extend_leases(
                session, worker_id=presence.worker_id, claims=held, now=now, lease_s=self._lease_s
            )
        with self._lock:
            # A job that was given up and claimed again meanwhile was asked about by the claim that is over.
            self._lost |= {claim.job_id for claim in held if self._held.get(claim.job_id) is claim} & lost

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _keep_beating(self) -> None:
        while True:
            try:
                self.beat()
            except UnavailableError as error:
                log.warning("The leases were not renewed: %s", error)
            except Exception:
                # Without this thread the worker would go on claiming jobs and losing every one of them.
                log.exception("The leases were not renewed")
            if self._ended.wait(self._lease_s / BEATS_A_LEASE):
                return
