"""The worker with the device: a shift is worked whenever the bell rings, and once at the start without it.

Composition only: it knows neither what is done in a shift nor how.
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
from worker.handlers.base import now
from worker.heartbeat import Heartbeat
from worker.loop import WorkerLoop
from worker.model_cache import ModelCache
from worker.outputs.safety import SafetyFilter
from worker.persistence import Persistence

EX_DEVICE_LOST = 70
"""The exit code when the device must be opened anew, which takes a new process."""

log = logging.getLogger(__name__)


class WorkerProcess:
    """One worker's parts, open.

    Attributes:
        stopping: set it and the shift hands everything back.
    """

    def __init__(self, service: Service) -> None:
        self.stopping = threading.Event()
        self._service = service
        self._worker_id = f"{socket.gethostname()[:60]}-{os.getpid()}-{secrets.token_hex(4)}"
        self._ledger = Persistence(service, self.stopping)
        self._desk = ModelCache(service.catalogue, self._publish, SafetyFilter(service.settings.safety))
        self.lease = Heartbeat(service, self._presence)
        self._shift = WorkerLoop(service, self._worker_id, self._desk, self.lease, self.stopping)

    def prepare(self) -> None:
        """Load the model that is asked for most, so that the first picture need not wait for it; then work."""
        try:
            self._desk.station(self._service.catalogue.default.name)
            self.lease.beat()
        except (DTIError, UnavailableError) as error:
            log.warning("The default model was not loaded: %s", error)
        self.work()

    def work(self) -> None:
        """Work one shift."""
        try:
            self._shift.work()
        except UnavailableError as error:
            log.warning("The shift ended early: %s", error)
        except torch.AcceleratorError as error:
            # The process cannot use the device any more; the jobs are taken over when their leases end.
            log.exception("The device is lost")
            raise WorkerTerminate(EX_DEVICE_LOST) from error

    def leave(self) -> None:
        """Say that this worker is gone."""
        try:
            with self._service.database.writing() as session:
                workers.gone(session, self._worker_id)
        except UnavailableError as error:
            log.warning("Nobody was told that this worker ends: %s", error)

    def _publish(self, model: str, card: Mapping[str, object]) -> None:
        self._ledger.write(lambda session: workers.publish_card(session, model, card, now()))

    def _presence(self) -> Presence:
        training, rendering = self._desk.paces.training, self._desk.paces.rendering
        return Presence(
            worker_id=self._worker_id,
            device=self._desk.device,
            models=self._desk.models,
            training_steps=training.steps,
            training_s=training.seconds,
            picture_steps=rendering.steps,
            picture_s=rendering.seconds,
        )


def run(settings: Settings) -> int:
    """Work until a signal ends it; returns the exit code."""
    service = Service.open(settings)
    device = WorkerProcess(service)
    app = celery_app.make_celery(settings, [queue_name(model) for model in service.catalogue])

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def ring(model: str) -> None:  # noqa: ARG001 - a shift takes what there is; the model chose the queue
        device.work()

    try:
        with device.lease:
            code = celery_app.run(app, at_start=device.prepare, at_stop=device.stopping.set)
        device.leave()
        return code
    finally:
        service.close()
