"""The maintenance: scheduled tasks that need no device and load no torch.

    every 2 s      expire the leases of lost workers, and send wake-up messages again for jobs that are still queued
    every second   give due webhook deliveries to the sender
    every minute   delete expired rows and objects
    every 5 min    collect orphans: objects of a part of the storage to which no row refers

Several processes may run it at once.
"""

import logging
from collections.abc import Callable

from celery import Celery

from service import idempotency, jobs, retention
from service.broker import MAINTENANCE_QUEUE
from service.context import Service
from service.errors import UnavailableError
from service.settings import Settings
from service.webhooks import deliveries
from worker import celery_app
from worker.webhook_sender import WebhookSender

EXPIRE_LEASES_EVERY_S = 2.0
DELIVER_EVERY_S = 1.0
DELETE_EXPIRED_EVERY_S = 60.0
COLLECT_ORPHANS_EVERY_S = 300.0

PAGE_SIZE = 1000
PAGES_PER_RUN = 10
"""One run of `collect_orphans` lists so many pages of objects: a few requests of a second or two in all."""

log = logging.getLogger(__name__)


class Maintenance:
    """The tasks on the database and the object store."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._last_key = ""

    def expire_leases(self) -> None:
        """Return jobs of lost workers to the queue, and send wake-up messages for jobs that are still queued.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        settings = self._service.settings
        with self._service.database.writing() as session:
            models = jobs.expire_leases(session, max_attempts=settings.max_attempts)
        with self._service.database.reading() as session:
            models |= jobs.models_with_stale_jobs(session, after_s=settings.renotify_s)
        for model in sorted(models):
            self._service.broker.notify(model)

    def delete_expired(self) -> None:
        """Delete checkpoints of ended jobs and expired rows with their objects; cancel RPCs of lost API processes.

        Raises:
            UnavailableError: the database or the object store does not answer.
        """
        with self._service.database.writing() as session:
            keys = [
                *jobs.take_old_checkpoints(session),
                *jobs.delete_old_rpcs(session),
                *retention.delete_expired(session, self._service.settings.retention),
            ]
            jobs.cancel_orphaned_rpcs(session, after_s=2 * self._service.settings.rpc_timeout_s)
            idempotency.delete_expired(session)
            deliveries.delete_expired(session)
        self._service.storage.delete(keys)

    def collect_orphans(self, *, page_size: int = PAGE_SIZE) -> None:
        """Delete orphans from the next part of the storage; the run after the last part starts over.

        Raises:
            UnavailableError: the database or the object store does not answer.
        """
        for _ in range(PAGES_PER_RUN):
            page = self._service.storage.list_after(self._last_key, page_size)
            if not page:
                self._last_key = ""
                return
            with self._service.database.reading() as session:
                keys = retention.orphans(session, page)
            self._service.storage.delete(keys)
            if keys:
                log.info("Orphaned objects deleted: %d", len(keys))
            self._last_key = page[-1].key


def run(settings: Settings) -> int:
    """Run the maintenance until a signal ends it; returns the exit code."""
    service = Service.open(settings)
    maintenance, sender = Maintenance(service), WebhookSender(service)
    app = celery_app.make_celery(settings, [MAINTENANCE_QUEUE])

    app.conf.beat_schedule = {
        name: _scheduled(app, name, every_s, action)
        for name, every_s, action in (
            ("dti.maintenance.expire_leases", EXPIRE_LEASES_EVERY_S, maintenance.expire_leases),
            ("dti.maintenance.deliver", DELIVER_EVERY_S, sender.deliver),
            ("dti.maintenance.delete_expired", DELETE_EXPIRED_EVERY_S, maintenance.delete_expired),
            ("dti.maintenance.collect_orphans", COLLECT_ORPHANS_EVERY_S, maintenance.collect_orphans),
        )
    }
    app.steps["worker"].add(celery_app.Beat)
    try:
        return celery_app.run(app)
    finally:
        sender.close()
        service.close()


def _scheduled(app: Celery, name: str, every_s: float, action: Callable[[], object]) -> dict[str, object]:
    """Register an action as a task of the application; returns its entry in the schedule."""

    @app.task(name=name)  # type: ignore[untyped-decorator]
    def task() -> None:
        try:
            action()
        except UnavailableError as error:
            # An outage needs no traceback: the task runs again soon.
            log.warning("%s was skipped: %s", name, error)

    # A message that is older than the interval is obsolete: the next one does the same work.
    return {"task": name, "schedule": every_s, "options": {"queue": MAINTENANCE_QUEUE, "expires": every_s}}
