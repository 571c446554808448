"""The heartbeat of a worker: a thread that extends the leases of its jobs and reports that the worker is active.

A thread, because loading a model or one step of a large model may take longer than a lease. It has its own short
transactions and never touches the device.
"""

import logging
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

from service import jobs, workers
from service.context import Service
from service.database.clock import MAX_SKEW_S, skew_s
from service.errors import UnavailableError
from service.jobs import Claim
from service.liveness import LivenessFile
from service.workers import Presence

BEATS_PER_LEASE = 3
"""A lease survives two missed beats."""

RETRY_S = 0.5
"""Between a beat that failed and the next one."""

log = logging.getLogger(__name__)


class Heartbeat:
    """A context manager that beats while it is entered.

    Args:
        service: the open parts.
        presence: returns the worker's state, reported with every beat; called from the thread.
    """

    def __init__(self, service: Service, presence: Callable[[], Presence]) -> None:
        self._database = service.database
        self._lease_s = service.settings.lease_s
        self._presence = presence
        self._alive = LivenessFile("worker")
        self._claims: dict[str, Claim] = {}
        self._lost: set[str] = set()
        self._skewed = False
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def track(self, claims: Iterable[Claim]) -> None:
        """Extend the leases of these claims from now on."""
        with self._lock:
            self._claims.update({claim.job_id: claim for claim in claims})

    def untrack(self, claim: Claim) -> None:
        """Stop extending the lease of a claim."""
        with self._lock:
            self._claims.pop(claim.job_id, None)
            self._lost.discard(claim.job_id)

    @property
    def tracked(self) -> list[Claim]:
        """The claims whose leases are extended."""
        with self._lock:
            return list(self._claims.values())

    def lost(self, claim: Claim) -> bool:
        """Whether a beat has found that the job no longer belongs to this worker."""
        with self._lock:
            return claim.job_id in self._lost

    def beat(self) -> None:
        """Extend the leases of all tracked claims and report the worker.

        Raises:
            DatabaseUnavailableError: no lease was extended.
        """
        presence = self._presence()
        with self._lock:
            claims = list(self._claims.values())
        # Two transactions: a job's row that another transaction has locked must not delay the sign of life, by which
        # maintenance believes that the jobs are worked at.
        with self._database.writing() as session:
            workers.heartbeat(session, presence)
            self._report_skew(skew_s(session))
        if not claims:
            return
        with self._database.writing() as session:
            lost = jobs.extend_leases(session, worker_id=presence.worker_id, claims=claims, lease_s=self._lease_s)
        with self._lock:
            # A job that was released and claimed again during this beat was looked up by its old attempt: not lost.
            self._lost |= {claim.job_id for claim in claims if self._claims.get(claim.job_id) is claim} & lost

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._alive.remove()
        self._thread.join()

    def _run(self) -> None:
        while True:
            interval_s = self._lease_s / BEATS_PER_LEASE
            self._alive.touch()
            try:
                self.beat()
            except UnavailableError as error:
                log.warning("The leases were not extended: %s", error)
                interval_s = min(interval_s, RETRY_S)
            except Exception:
                # Without this thread the worker would go on claiming jobs and losing every one of them.
                log.exception("The leases were not extended")
                interval_s = min(interval_s, RETRY_S)
            if self._ended.wait(interval_s):
                return

    def _report_skew(self, skew_s: float) -> None:
        """Log a large difference between the clocks, once until it is gone."""
        skewed = abs(skew_s) > MAX_SKEW_S
        if skewed and not self._skewed:
            log.warning(
                "This machine's clock is %.0f s %s the database's. Leases are not affected; signed URLs may be. "
                "Synchronise the clocks, with NTP for example.",
                abs(skew_s),
                "ahead of" if skew_s > 0 else "behind",
            )
        self._skewed = skewed
