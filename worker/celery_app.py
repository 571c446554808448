"""The Celery side of a worker: queues, messages and shutdown.

Solo pool, JSON messages, no results, acknowledged before the work: the queue is the database, a message only wakes a
worker, and the maintenance sends lost ones again. It does not know the loop.
"""

from collections.abc import Iterable

from celery import Celery, signals
from celery.apps.worker import Worker
from celery.worker import state
from kombu import Queue

from service.settings import Settings
from worker import transport

CONNECT_TIMEOUT_S = 1.0

RESPONSE_TIMEOUT_S = 10.0
"""Longer than the broker's own waiting for a message: a broker that hangs is connected to again."""


def make_celery(settings: Settings, queues: Iterable[str]) -> Celery:
    """An application that consumes the given queues.

    An unavailable broker ends nothing: a connection attempt times out after a second and is repeated without limit. The
    loop goes on without the broker, and polls the queue by itself.
    """
    transport.install()
    app = Celery("dti", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_queues=[Queue(name) for name in queues],
        task_create_missing_queues=False,
        task_ignore_result=True,
        # A wake-up lasts as long as the loop works, which may be hours. Acknowledged only at its end, it would be
        # redelivered meanwhile; nothing is lost with a message, because the job is in the database.
        task_acks_late=False,
        task_publish_retry=False,
        # The device belongs to a thread of this process; a forked child could not use it.
        worker_pool="solo",
        worker_concurrency=1,
        # A busy worker must not hold messages that an idle one could take.
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        broker_connection_timeout=CONNECT_TIMEOUT_S,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "socket_timeout": RESPONSE_TIMEOUT_S,
        },
    )
    return app


def run(app: Celery) -> int:
    """Take messages until `stop` is called.

    Returns:
        The exit code.
    """
    signals.setup_logging.connect(_keep_loggers, weak=False)
    worker = _Worker(app=app, without_gossip=True, without_mingle=True, without_heartbeat=True, quiet=True)
    worker.start()
    return int(worker.exitcode or 0)


def stop() -> None:
    """Have `run` return; may be called within a signal's handler."""
    state.should_stop = 0


class _Worker(Worker):  # type: ignore[misc]  # Celery publishes no types
    """A worker without Celery's signal handlers; see `worker.stop_signals`."""

    def install_platform_tweaks(self, worker: object) -> None:
        """Install none."""


def _keep_loggers(**_: object) -> None:
    """Connected to the signal, it keeps Celery from replacing the handlers of service.logs."""
