"""The bell: tells workers that there is work for a model. The one module that sends through Celery.

A message may be lost or doubled without harm, for the queue is the database; so a broker that is down is logged and
left to the maintenance, which ring again. It knows no job.
"""

import logging

from celery import Celery
from kombu.exceptions import KombuError, OperationalError

from service.errors import SettingsError
from service.settings import Settings

TASK = "dti.wake"
"""The task that a worker listens for; its one argument is the model's name."""

MAINTENANCE_QUEUE = "dti.maintenance"

_TIMEOUT_S = 1.0
_EXPIRES_S = 60
"""A message that nobody took in this time is dropped: whoever comes later looks into the database anyway."""

_log = logging.getLogger(__name__)


def queue_name(model: str) -> str:
    """The Celery queue that workers for a model listen to."""
    return f"dti.model.{model}"


def broker_options() -> dict[str, object]:
    """Celery settings with which publishing never holds its caller: no retries, one second to connect."""
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
    """Rings; never raises, never waits."""

    def __init__(self, settings: Settings) -> None:
        if settings.broker_url is None:
            raise SettingsError("There is no broker address. Set DTI_BROKER_URL, or use `dti serve`.")
        self._celery = Celery("dti", broker=settings.broker_url)
        self._celery.conf.update(broker_options())

    def notify(self, model: str) -> None:
        """Say that there is work for a model."""
        try:
            self._celery.send_task(TASK, args=[model], queue=queue_name(model), expires=_EXPIRES_S, retry=False)
        except (OperationalError, KombuError, OSError) as error:
            _log.warning("The broker cannot be reached; the maintenance will ring for %s: %s", model, error)

    def close(self) -> None:
        """Close the connections."""
        self._celery.close()
