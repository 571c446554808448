"""The broker: wakes up workers. The one module of the service that sends through Celery.

The database is the queue, the broker is a bell: a message may be lost or doubled without harm. A broker that is down is
logged, and maintenance notifies the workers again. It knows no job.
"""

import logging

from celery import Celery
from kombu.exceptions import KombuError, OperationalError

from service.errors import SettingsError
from service.settings import Settings

TASK = "dti.wake"
"""The task of a wake-up; its one argument is the model."""

_TIMEOUT_S = 1.0
_EXPIRES_S = 60
"""Messages expire unread after this time: a worker that starts later polls the database anyway."""

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
    """Sends wake-ups; never raises, never blocks for long."""

    def __init__(self, settings: Settings) -> None:
        if settings.broker_url is None:
            raise SettingsError("DTI_BROKER_URL is not set. Set it, or use `dti serve`.")
        self._celery = Celery("dti", broker=settings.broker_url)
        self._celery.conf.update(broker_options())

    def notify(self, model: str) -> None:
        """Wake up a model's workers."""
        try:
            self._celery.send_task(TASK, args=[model], queue=queue_name(model), expires=_EXPIRES_S, retry=False)
        except (OperationalError, KombuError, OSError) as error:
            _log.warning("The broker cannot be reached; maintenance will notify the workers of %s: %s", model, error)

    def close(self) -> None:
        """Close the connections."""
        self._celery.close()
