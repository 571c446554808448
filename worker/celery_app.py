"""The Celery side of both workers: queues, message handling, schedule and shutdown.

Solo pools, JSON messages, no results, acknowledged before the work: the queue is the database, a message only wakes a
worker, and the maintenance sends lost ones again. It knows neither the loop nor the maintenance tasks.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from celery import Celery, bootsteps, signals
from celery.beat import EmbeddedService, Scheduler
from kombu import Queue

from service.settings import Settings

CONNECT_TIMEOUT_S = 1.0

_PER_MESSAGE_LOGGERS = (
    "celery.app.trace",
    "celery.beat",
    "celery.worker.request",
    "celery.worker.strategy",
)
"""They log every message that is received."""


def make_celery(settings: Settings, queues: Iterable[str]) -> Celery:
    """An application that consumes the given queues.

    An unavailable broker ends nothing: a connection attempt times out after a second and is repeated without limit. The
    loop goes on without the broker; an idle worker starts again with the first message after the outage.
    """
    app = Celery("dti", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_queues=[Queue(name) for name in queues],
        task_create_missing_queues=False,
        task_ignore_result=True,
        # A task may run for hours. Acknowledged only at its end, it would be redelivered meanwhile, after the broker's
        # visibility timeout; nothing is lost with a message, because the job is in the database.
        task_acks_late=False,
        task_publish_retry=False,
        # The device belongs to one thread of one process; a forked child could not use it.
        worker_pool="solo",
        worker_concurrency=1,
        # A busy worker must not hold messages that an idle one could take.
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        broker_connection_timeout=CONNECT_TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={"socket_connect_timeout": CONNECT_TIMEOUT_S},
    )
    return app


def run(
    app: Celery, *, at_start: Callable[[], object] | None = None, at_stop: Callable[[], object] | None = None
) -> int:
    """Work until a signal ends the worker.

    Args:
        app: the application.
        at_start: called once in the main thread when the worker listens.
        at_stop: called within the signal's handler when the worker is to end.

    Returns:
        The exit code.
    """
    signals.setup_logging.connect(_log, weak=False)
    if at_start is not None:
        signals.worker_ready.connect(lambda **_: at_start(), weak=False)
    if at_stop is not None:
        signals.worker_shutting_down.connect(lambda **_: at_stop(), weak=False)
    worker = app.Worker(without_gossip=True, without_mingle=True, without_heartbeat=True, quiet=True)
    worker.start()
    return int(worker.exitcode or 0)


class Beat(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery publishes no types
    """The scheduler, in a thread of the worker that runs the tasks, so that it ends whenever the worker ends."""

    requires = ("celery.worker.components:Pool",)

    def create(self, worker: Any) -> Any:  # noqa: ANN401 - Celery publishes no types
        """The thread, with a schedule in memory: a missed task runs at the next interval."""
        return EmbeddedService(worker.app, thread=True, scheduler_cls=Scheduler)

    def stop(self, worker: Any) -> None:  # noqa: ANN401, ARG002 - Celery publishes no types
        """Do not wait for the thread: during an outage of the broker it sleeps up to half a minute between attempts."""
        self.obj.service.stop(wait=False)


def _log(**_: object) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in _PER_MESSAGE_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
