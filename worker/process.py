"""The process of a worker with the device: it runs the loop at its start and on every wake-up message.

Composition only: it knows neither the steps of the loop nor how jobs are done.
"""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Mapping

import torch
from celery.exceptions import WorkerTerminate

from dti.errors import DTIError
from service import workers
from service.broker import TASK, queue_name
from service.context import Service
from service.errors import UnavailableError
from service.settings import Settings
from service.workers import Presence
from worker import celery_app
from worker.heartbeat import Heartbeat
from worker.loop import WorkerLoop
from worker.model_cache import ModelCache
from worker.outputs.safety import SafetyFilter
from worker.persistence import Persistence

EX_DEVICE_LOST = 70
"""The exit code when the device is lost: only a new process can open it again."""

log = logging.getLogger(__name__)


class WorkerProcess:
    """The parts of one worker, open.

    Attributes:
        stopping: set it and the loop releases all jobs.
        heartbeat: extends the leases while it is entered.
    """

    def __init__(self, service: Service) -> None:
        self.stopping = threading.Event()
        self._service = service
        self._worker_id = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._persistence = Persistence(service, self.stopping)
        self._model_cache = ModelCache(service.catalogue, self._publish_card, SafetyFilter(service.settings.safety))
        self.heartbeat = Heartbeat(service, self._presence)
        self._loop = WorkerLoop(service, self._worker_id, self._model_cache, self.heartbeat, self.stopping)

    def prepare(self) -> None:
        """Load the default model, so that the first picture need not wait for it, then run the loop."""
        try:
            self._model_cache.get(self._service.catalogue.default.name)
            self.heartbeat.beat()
        except (DTIError, UnavailableError) as error:
            log.warning("The default model was not loaded: %s", error)
        self.work()

    def work(self) -> None:
        """Run the loop until no work is left."""
        try:
            self._loop.work()
        except UnavailableError as error:
            log.warning("The loop ended early: %s", error)
        except torch.AcceleratorError as error:
            # This process cannot use the device any more; other workers take the jobs over when their leases end.
            log.exception("The device is lost")
            raise WorkerTerminate(EX_DEVICE_LOST) from error

    def unregister(self) -> None:
        """Remove this worker from the active workers."""
        try:
            with self._service.database.writing() as session:
                workers.unregister(session, self._worker_id)
        except UnavailableError as error:
            log.warning("This worker was not unregistered: %s", error)

    def _publish_card(self, model: str, card: Mapping[str, object]) -> None:
        self._persistence.write(lambda session: workers.publish_card(session, model, card))

    def _presence(self) -> Presence:
        training, rendering = self._model_cache.throughputs.training, self._model_cache.throughputs.rendering
        return Presence(
            worker_id=self._worker_id,
            device=self._model_cache.device,
            models=self._model_cache.models,
            training_steps=training.steps,
            training_s=training.seconds,
            picture_steps=rendering.steps,
            picture_s=rendering.seconds,
        )


def run(settings: Settings) -> int:
    """Work until a signal ends the process; returns the exit code."""
    service = Service.open(settings)
    process = WorkerProcess(service)
    app = celery_app.make_celery(settings, [queue_name(model) for model in service.catalogue])

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def wake(model: str) -> None:  # noqa: ARG001 - the model chose the queue; the loop claims jobs of all models
        process.work()

    try:
        with process.heartbeat:
            code = celery_app.run(app, at_start=process.prepare, at_stop=process.stopping.set)
        process.unregister()
        return code
    finally:
        service.close()
