"""The broker: wakes up workers. The one module of the service that sends through Celery.

The database is the queue, the broker is a bell: a message may be lost or doubled without harm. A broker that is down is
logged, and maintenance notifies the workers again. It knows no job.
"""

import logging
import threading

from celery import Celery
from kombu.exceptions import KombuError, OperationalError
from redis.exceptions import RedisError

from service.errors import SettingsError
from service.settings import Settings

TASK = "dti.wake"
"""The task of a wake-up; its one argument is the model."""

_TIMEOUT_S = 1.0
_EXPIRES_S = 60
"""Messages expire unread after this time: a worker that starts later polls the database anyway."""

_MAX_WAITING = 8
"""More wake-ups of one model tell its workers nothing new."""

_RETRY_S = 2.0
"""Between two attempts to reach a broker that is down."""

_ERRORS = (OperationalError, KombuError, RedisError, OSError)
"""An unreachable broker, and one that answers with an error, such as that its memory is full."""

_log = logging.getLogger(__name__)


def queue_name(model: str) -> str:
    """The Celery queue of a model's workers."""
    return f"dti.model.{model}"


def broker_options() -> dict[str, object]:
    """Celery settings for publishing that never blocks: no retries, one second to connect."""
    return {
        "broker_connection_timeout": _TIMEOUT_S,
        "broker_transport_options": {
            "socket_connect_timeout": _TIMEOUT_S,
            "socket_timeout": _TIMEOUT_S,
            "retry_on_timeout": False,
            "max_retries": 0,
        },
        "task_publish_retry": False,
        "task_ignore_result": True,
        "result_backend": None,
    }


class Broker:
    """Sends wake-ups; never raises, and blocks for a second at most: once in an outage."""

    def __init__(self, settings: Settings) -> None:
        if settings.broker_url is None:
            raise SettingsError("DTI_BROKER_URL is not set. Set it, or use `dti serve`.")
        self._celery = Celery("dti", broker=settings.broker_url)
        self._celery.conf.update(broker_options())
        self._down = threading.Event()
        self._closed = threading.Event()

    def notify(self, model: str) -> None:
        """Wake up a model's workers, unless the broker is known to be down: they look for work by themselves."""
        if self._down.is_set():
            return
        try:
            self._send(model)
        except _ERRORS as error:
            _log.warning(
                "The broker cannot be reached; the workers of %s look for work by themselves: %s", model, error
            )
            self._wait_for_recovery()

    def close(self) -> None:
        """Close the connections."""
        self._closed.set()
        self._celery.close()

    def _send(self, model: str) -> None:
        """Send a wake-up, unless enough of them wait: without a worker they would pile up for days."""
        if self._waiting(model) < _MAX_WAITING:
            self._celery.send_task(TASK, args=[model], queue=queue_name(model), expires=_EXPIRES_S, retry=False)

    def _waiting(self, model: str) -> int:
        with self._celery.connection_or_acquire() as connection:
            return int(connection.default_channel.queue_declare(queue_name(model)).message_count)

    def _wait_for_recovery(self) -> None:
        """Have a thread try again until the broker answers; meanwhile no caller waits for it."""
        if not self._down.is_set():
            self._down.set()
            threading.Thread(target=self._recover, name="broker", daemon=True).start()

    def _recover(self) -> None:
        while not self._closed.wait(_RETRY_S):
            try:
                self._waiting("")
            except _ERRORS:
                continue
            self._down.clear()
            return
