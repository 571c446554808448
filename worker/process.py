"""The process of a worker with the device: a thread runs the loop, the main thread takes messages and signals.

The thread works whenever there is work: at its start, when a message wakes it up, and every few seconds by itself, so
that it needs no broker. Signals reach the main thread, which never is within a step.

Composition only: it knows neither the steps of the loop nor how jobs are done.
"""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Mapping

import torch

from dti.errors import DTIError
from service import jobs, logs, workers
from service.broker import TASK, queue_name
from service.context import Service
from service.errors import LeaseLostError, UnavailableError
from service.settings import Settings
from service.workers import Presence
from worker import celery_app, precision, stop_signals
from worker.activity import Activity
from worker.heartbeat import Heartbeat
from worker.loop import WorkerLoop
from worker.model_cache import ModelCache
from worker.outputs.safety import SafetyFilter
from worker.persistence import Persistence
from worker.watchdog import Watchdog

EX_DEVICE_LOST = 70
"""The exit code when the device is lost: only a new process can open it again."""

IDLE_POLL_INTERVAL_S = 2.0
"""How often an idle worker looks for work without a message."""

BROKER_END_TIMEOUT_S = 3.0
"""How long the end waits for the connection to the broker, which may hang, after all jobs are handed back."""

log = logging.getLogger(__name__)


class WorkerProcess:
    """The parts of one worker, open.

    Attributes:
        exit_code: of the process, when its thread has ended.
        heartbeat: extends the leases while it is entered.
        watchdog: ends the process after a step that does not return, while it is entered.
    """

    def __init__(self, service: Service, stopping: threading.Event) -> None:
        self.exit_code = 0
        self._service = service
        self._stopping = stopping
        # Shown to clients and in metrics: without the machine's name, which only the log has.
        self._worker_id = f"worker-{secrets.token_hex(6)}"
        log.info("This is %s, process %d on %s", self._worker_id, os.getpid(), socket.gethostname())
        self._activity = Activity()
        self._persistence = Persistence(service, stopping, self._activity)
        self._served = service.catalogue.subset(service.settings.worker_models)
        self._model_cache = ModelCache(
            service.catalogue,
            self._publish_card,
            SafetyFilter(service.settings.safety),
            service.settings.max_trainings,
            device=service.settings.device,
        )
        self.heartbeat = Heartbeat(service, self._presence)
        self.watchdog = Watchdog(self._activity, service.settings.step_limit_s, self._lose_all)
        self._loop = WorkerLoop(
            service, self._worker_id, self._model_cache, self.heartbeat, stopping, activity=self._activity
        )
        self._woken = threading.Event()
        self._idle = threading.Event()

    def run(self) -> None:
        """Load the default model, so that the first picture need not wait for it, then work until the worker stops."""
        try:
            self._load_default()
            while not self._stopping.is_set():
                self._idle.clear()
                self._work()
                self._idle.set()
                self._woken.wait(IDLE_POLL_INTERVAL_S)
                self._woken.clear()
        finally:
            self._unregister()
            self._stopping.set()
            self._idle.set()
            celery_app.stop()
            end = threading.Timer(BROKER_END_TIMEOUT_S, os._exit, (self.exit_code,))
            end.daemon = True
            end.start()

    def wake(self) -> None:
        """Look for work, and return when there is none left: a busy worker takes no message from an idle one."""
        self._woken.set()
        self._idle.wait()

    def interrupt(self) -> None:
        """End the waiting of the thread, after the worker was stopped; called by signal handlers."""
        self._woken.set()

    def _load_default(self) -> None:
        self._activity.moved()
        try:
            default = self._service.catalogue.default.name
            self._model_cache.get(default if default in self._served else self._served[0])
            self.heartbeat.beat()
        except (DTIError, UnavailableError) as error:
            log.warning("The default model was not loaded: %s", error)
        finally:
            self._activity.rests()

    def _work(self) -> None:
        """Run the loop until no work is left."""
        try:
            self._loop.work()
        except UnavailableError as error:
            log.warning("The loop ended early: %s", error)
        except torch.AcceleratorError:
            log.exception("The device is lost")
            self.exit_code = EX_DEVICE_LOST
            self._stopping.set()
        except Exception:
            # Its jobs are released when the loop begins again.
            log.exception("The loop ended early")

    def _unregister(self) -> None:
        """Remove this worker from the active workers."""
        try:
            with self._service.database.writing() as session:
                workers.unregister(session, self._worker_id)
        except UnavailableError as error:
            log.warning("This worker was not unregistered: %s", error)

    def _lose_all(self) -> None:
        """Return all jobs to the queue as lost attempts: one of them may have caused the standstill."""
        loss = jobs.Loss(code="step_timeout", max_attempts=self._service.settings.max_attempts)
        for claim in self.heartbeat.tracked:
            try:
                with self._service.database.writing() as session:
                    jobs.lose(session, claim, loss)
            except (UnavailableError, LeaseLostError) as error:
                log.warning("%s goes on elsewhere when its lease expires: %s", claim.job_id, error)
        self._unregister()

    def _publish_card(self, model: str, card: Mapping[str, object]) -> None:
        self._persistence.write(lambda session: workers.publish_card(session, model, card))

    def _presence(self) -> Presence:
        training, rendering = self._model_cache.throughputs.training, self._model_cache.throughputs.rendering
        return Presence(
            worker_id=self._worker_id,
            device=self._model_cache.device,
            models=self._model_cache.models,
            served_models=self._served,
            load=self._model_cache.load,
            training_steps=training.steps,
            training_s=training.seconds,
            picture_steps=rendering.steps,
            picture_s=rendering.seconds,
            stalled_s=self._activity.stalled_s,
        )


def run(settings: Settings) -> int:
    """Work until a signal or a lost device ends the process; returns the exit code."""
    logs.configure()
    stopping = threading.Event()
    precision.apply(settings)
    service = Service.open(settings)
    service.check_schema()
    process = WorkerProcess(service, stopping)
    stop_signals.handle(stopping.set, process.interrupt, celery_app.stop)
    app = celery_app.make_celery(
        settings, [queue_name(model) for model in service.catalogue.subset(settings.worker_models)]
    )

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def wake(model: str) -> None:  # noqa: ARG001 - the model chose the queue; the loop claims jobs of all models
        process.wake()

    device = threading.Thread(target=process.run, name="device")
    try:
        with process.heartbeat, process.watchdog:
            device.start()
            code = celery_app.run(app)
            stopping.set()
            process.interrupt()
            device.join()
        return process.exit_code or code
    finally:
        service.close()
