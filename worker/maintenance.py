"""The maintenance: what must happen whether or not anybody asks. They touch no device and load no torch.

Every few seconds jobs are taken away from workers that fell silent, and workers are rung for again where a job has
waited; every second webhooks' messages are handed to the courier; every minute what nobody needs any more is deleted;
every five minutes a stretch of the storage is searched for what was left behind.
Two workers doing the same at once do no harm.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from celery import Celery

from service import idempotency, jobs, retention
from service.broker import MAINTENANCE_QUEUE
from service.context import Service
from service.errors import UnavailableError
from service.settings import Settings
from service.webhooks import deliveries
from worker import celery_app
from worker.webhook_sender import WebhookSender

WATCH_EVERY_S = 2.0
DELIVER_EVERY_S = 1.0
SWEEP_EVERY_S = 60.0
SEARCH_EVERY_S = 300.0

PAGE = 1000
PAGES = 10
"""Objects that one search looks at are so many pages: a few requests of a second or two in all."""

log = logging.getLogger(__name__)


class Maintenance:
    """What there is to do."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._searched_to = ""

    def watch(self, now: datetime) -> None:
        """Take jobs away from silent workers, and ring where jobs wait.

        Raises:
            DatabaseUnavailableError: the database does not answer.
        """
        settings = self._service.settings
        with self._service.database.writing() as session:
            models = jobs.expire_leases(session, now, attempts=settings.attempts)
        with self._service.database.reading() as session:
            models |= jobs.models_with_stale_jobs(session, now, after_s=settings.renotify_s)
        for model in sorted(models):
            self._service.broker.notify(model)

    def sweep(self, now: datetime) -> None:
        """Delete checkpoints of jobs that have ended, call off RPCs whose API was lost, and forget what is old.

        Raises:
            UnavailableError: the database or the storage does not answer.
        """
        with self._service.database.writing() as session:
            spent = [
                *jobs.take_old_checkpoints(session),
                *jobs.delete_old_rpcs(session, now),
                *retention.forget_old(session, self._service.settings.keeping, now),
            ]
            jobs.cancel_orphaned_rpcs(session, now, after_s=2 * self._service.settings.rpc_timeout_s)
            idempotency.sweep(session, now)
            deliveries.sweep(session, now)
        self._service.storage.delete(spent)

    def search(self, now: datetime, *, page: int = PAGE) -> None:
        """Go on through the storage for a while, and delete what was left behind there; begin anew at its end.

        Raises:
            UnavailableError: the database or the storage does not answer.
        """
        for _ in range(PAGES):
            listed = self._service.storage.listed(self._searched_to, page)
            if not listed:
                self._searched_to = ""
                return
            with self._service.database.reading() as session:
                keys = retention.left_behind(session, listed, now)
            self._service.storage.delete(keys)
            if keys:
                log.info("Objects to which nothing referred are deleted: %d", len(keys))
            self._searched_to = listed[-1].key


def run(settings: Settings) -> int:
    """Do the maintenance until a signal ends it; returns the exit code."""
    service = Service.open(settings)
    maintenance, courier = Maintenance(service), WebhookSender(service)
    app = celery_app.make_celery(settings, [MAINTENANCE_QUEUE])

    app.conf.beat_schedule = {
        name: _scheduled(app, name, every_s, chore)
        for name, every_s, chore in (
            ("dti.maintenance.watch", WATCH_EVERY_S, maintenance.watch),
            ("dti.maintenance.deliver", DELIVER_EVERY_S, courier.deliver),
            ("dti.maintenance.sweep", SWEEP_EVERY_S, maintenance.sweep),
            ("dti.maintenance.search", SEARCH_EVERY_S, maintenance.search),
        )
    }
    app.steps["worker"].add(celery_app.Schedule)
    try:
        return celery_app.run(app)
    finally:
        courier.close()
        service.close()


def _scheduled(app: Celery, name: str, every_s: float, chore: Callable[[datetime], object]) -> dict[str, object]:
    """Make a chore a task of the application; returns its entry in the schedule."""

    @app.task(name=name)  # type: ignore[untyped-decorator]
    def turn() -> None:
        try:
            chore(datetime.now(UTC))
        except UnavailableError as error:
            # A part that is down is no error here: the next turn comes soon.
            log.warning("A chore was left undone: %s", error)

    # What waited for longer than its turn is of no use: the next one does it all.
    return {"task": name, "schedule": every_s, "options": {"queue": MAINTENANCE_QUEUE, "expires": every_s}}
