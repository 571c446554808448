"""The maintenance: scheduled tasks that need no device and load no torch.

    every second   expire the leases of lost workers, and send wake-up messages again for jobs that are still queued
    every second   give due webhook deliveries to the sender
    every 10 s     add up the counters of the metrics
    every minute   delete expired rows and objects
    every 5 min    collect orphans: objects of a part of the storage to which no row refers

Several processes may run it at once.
"""

import logging
import threading
from datetime import datetime, timedelta
from functools import partial

from service import audit, bucket, counters, heartbeats, idempotency, jobs, logs, retention
from service.context import Service
from service.database.clock import now
from service.errors import BucketForeignError
from service.liveness import LivenessFile
from service.orphans import OrphanScan
from service.settings import Settings
from service.webhooks import deliveries
from worker import schedule, stop_signals
from worker.schedule import Task
from worker.webhook_sender import WebhookSender

EXPIRE_LEASES_EVERY_S = 1.0
MIN_GAP_S = 2.0 * EXPIRE_LEASES_EVERY_S
GAPS_PER_LEASE = 4
"""A longer time between two visits of the database than a fourth of a lease, or than this least gap, is an outage of
it. A shorter one is survived by a lease, which is extended three times, and again within a second of an error."""

DELIVER_EVERY_S = 1.0
DELETE_EXPIRED_EVERY_S = 60.0
COLLECT_ORPHANS_EVERY_S = 300.0

FOLD_COUNTERS_EVERY_S = 10.0
FOLDS_PER_RUN = 10
"""One run of `fold_counters` adds up to so many batches of increments."""

PAGE_SIZE = 1000
PAGES_PER_RUN = 10
"""One run of `collect_orphans` lists so many pages of objects: a few requests of a second or two in all."""

log = logging.getLogger(__name__)


class DatabaseContact:
    """How long the database has answered without a gap, by its own clock.

    A gap is an outage, a database or a process that stood still, or a machine that slept. It begins with the first
    visit, since this process cannot know of earlier ones.

    Args:
        max_gap_s: the longest time between two visits that is none.
    """

    def __init__(self, max_gap_s: float) -> None:
        self._max_gap = timedelta(seconds=max_gap_s)
        self._since: datetime | None = None
        self._visited_at: datetime | None = None

    def lasted_s(self, moment: datetime) -> float:
        """Record a visit at a moment; returns the seconds since the last gap."""
        gap = self._visited_at is None or abs(moment - self._visited_at) > self._max_gap
        if self._since is None or gap:
            self._since = moment
        self._visited_at = moment
        return (moment - self._since).total_seconds()


class Maintenance:
    """The tasks on the database and the object store."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._last_key = ""
        self._alive = LivenessFile("maintenance")
        self._scan = OrphanScan()
        self._retention_recorded = False
        self._contact = DatabaseContact(max(MIN_GAP_S, service.settings.lease_s / GAPS_PER_LEASE))

    def expire_leases(self) -> None:
        """Return jobs of lost workers to the queue, and send wake-up messages for jobs that are still queued.

        No lease expires until the database has answered for a whole lease: while it did not, no worker could extend
        one.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        settings, models = self._service.settings, set[str]()
        self._alive.touch()
        with self._service.database.writing() as session:
            if self._contact.lasted_s(now(session)) >= settings.lease_s:
                models = jobs.expire_leases(session, max_attempts=settings.max_attempts, lease_s=settings.lease_s)
            heartbeats.beat(session, heartbeats.MAINTENANCE)
        with self._service.database.reading() as session:
            models |= jobs.models_with_stale_jobs(session, after_s=settings.renotify_s)
        for model in sorted(models):
            self._service.broker.notify(model)

    def fold_counters(self) -> None:
        """Add the increments of the counters to their totals.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        for _ in range(FOLDS_PER_RUN):
            with self._service.database.writing() as session:
                if not counters.fold(session):
                    return

    def delete_expired(self) -> None:
        """Delete checkpoints of ended jobs and expired rows with their objects; cancel RPCs of lost API processes.

        Raises:
            BucketForeignError: the bucket belongs to another database.
            UnavailableError: the database or the object store does not answer.
        """
        self._check_bucket()
        settings = self._service.settings
        if not self._retention_recorded:
            with self._service.database.writing() as session:
                audit.record_retention(session, settings.retention)
            self._retention_recorded = True
        # Each in a transaction of its own: on SQLite, all other writers wait for it.
        for sweep in (
            jobs.take_old_checkpoints,
            jobs.delete_old_rpcs,
            partial(retention.delete_expired, retention=settings.retention),
        ):
            with self._service.database.writing() as session:
                keys = sweep(session)
            self._service.storage.delete(keys)
        for delete in (
            retention.thin_events,
            partial(jobs.cancel_orphaned_rpcs, after_s=2 * settings.rpc_timeout_s),
            idempotency.delete_expired,
            deliveries.delete_expired,
        ):
            with self._service.database.writing() as session:
                delete(session)

    def collect_orphans(self, *, page_size: int = PAGE_SIZE) -> None:
        """Look for orphans in the next part of the storage; after the last part, delete them and start over.

        Raises:
            BucketForeignError: the bucket belongs to another database.
            UnavailableError: the database or the object store does not answer.
        """
        self._check_bucket()
        for _ in range(PAGES_PER_RUN):
            page = self._service.storage.list_after(self._last_key, page_size)
            if not page:
                self._finish_collection()
                return
            with self._service.database.reading() as session:
                self._scan.add(page, retention.orphans(session, page))
            self._last_key = page[-1].key

    def _finish_collection(self) -> None:
        scan, self._scan, self._last_key = self._scan, OrphanScan(), ""
        with self._service.database.writing() as session:
            bucket.record(
                session, "too_many_orphans" if scan.suspicious else "ok", scan.count if scan.suspicious else 0
            )
            # Looked up again: an object may have got a reference meanwhile.
            keys = [] if scan.suspicious else retention.orphans(session, scan.orphans)
        if scan.suspicious:
            log.error(
                "%d of %d objects have no row, and none is deleted. If the database is the right one and complete, "
                "run `dti orphans --delete`.",
                scan.count,
                scan.total,
            )
        self._service.storage.delete(keys)
        if keys:
            log.info("Orphaned objects deleted: %d", len(keys))

    def _check_bucket(self) -> None:
        try:
            bucket.claim(self._service)
        except BucketForeignError:
            with self._service.database.writing() as session:
                bucket.record(session, "foreign_bucket")
            raise


def run(settings: Settings) -> int:
    """Run the maintenance until a signal ends it; returns the exit code."""
    logs.configure()
    service = Service.open(settings)
    service.check_schema()
    maintenance, sender = Maintenance(service), WebhookSender(service)
    tasks = (
        Task("expire_leases", EXPIRE_LEASES_EVERY_S, maintenance.expire_leases),
        Task("deliver", DELIVER_EVERY_S, sender.deliver),
        Task("fold_counters", FOLD_COUNTERS_EVERY_S, maintenance.fold_counters),
        Task("delete_expired", DELETE_EXPIRED_EVERY_S, maintenance.delete_expired),
        Task("collect_orphans", COLLECT_ORPHANS_EVERY_S, maintenance.collect_orphans),
    )
    stopping = threading.Event()
    stop_signals.handle(stopping.set)
    try:
        schedule.run(tasks, stopping)
        return 0
    finally:
        sender.close()
        service.close()
