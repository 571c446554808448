"""The two Celery workers: what they listen to, how they take messages, and how they end.

Solo pools, messages in JSON, no results, acknowledged before they are worked on: the queue is the database, a message
is only a bell, and a lost one is rung again. It knows nothing of what a shift or a chore does.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from celery import Celery, bootsteps, signals
from celery.beat import EmbeddedService, Scheduler
from kombu import Queue

from service.settings import Settings

CONNECT_TIMEOUT_S = 1.0

_CHATTY = (
    "celery.app.trace",
    "celery.beat",
    "celery.worker.request",
    "celery.worker.strategy",
)
"""Who would say of every bell that it was heard."""


def make_celery(settings: Settings, queues: Iterable[str]) -> Celery:
    """An application that consumes some queues.

    A broker that is away ends nothing: a connection is given up after a second and tried again for as long as it takes.
    A shift goes on without it; an idle worker begins again when the broker is back and somebody rings.
    """
    app = Celery("dti", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_queues=[Queue(name) for name in queues],
        task_create_missing_queues=False,
        task_ignore_result=True,
        task_acks_late=False,
        task_publish_retry=False,
        worker_pool="solo",
        worker_concurrency=1,
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
    """Work until a signal ends it.

    Args:
        app: what to run.
        at_start: called once in the main thread when the worker listens.
        at_stop: called within the signal's handler when the worker was asked to end.

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


class Schedule(bootsteps.StartStopStep):  # type: ignore[misc]  # Celery publishes no types
    """The schedule, kept by a thread of the worker that does the work, so that it ends with it, however that ends."""

    requires = ("celery.worker.components:Pool",)

    def create(self, worker: Any) -> Any:  # noqa: ANN401 - Celery publishes no types
        """The thread, with a schedule that remembers nothing: what is missed is done a little later."""
        return EmbeddedService(worker.app, thread=True, scheduler_cls=Scheduler)

    def stop(self, worker: Any) -> None:  # noqa: ANN401, ARG002 - Celery publishes no types
        """Not waiting for the thread: while the broker is away it sleeps for up to half a minute between two tries."""
        self.obj.service.stop(wait=False)


def _log(**_: object) -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
