"""The loop of a worker: it polls the queue, starts jobs, advances the engines and writes down the results.

    poll ──▶ claim ──▶ start ──▶ advance every loaded model ──▶ collect from every job ──▶ poll …

It polls between any two steps, at most every 20 ms, so that a new picture joins the current batch and a cancelled job
leaves within a step; a busy worker needs no wake-up message. It ends when no work is left, or releases all jobs when
the worker stops. It knows neither the kinds of jobs nor the workings of a model.

When a batch fails, its jobs are quarantined and retried one at a time from their newest checkpoint; a job that fails
alone has failed.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import replace
from functools import partial

import torch
from sqlalchemy import select
from sqlalchemy.orm import Session

from dti.training.trainer import Run, Update
from service import correlation, jobs
from service.accounts import usage
from service.context import Service
from service.database.tables import Job
from service.errors import JobTimeoutError, LeaseLostError, UnavailableError
from service.jobs import Claim
from service.kinds.jobs import KINDS, PRIORITY_CLASSES
from worker.activity import Activity
from worker.device_time import DeviceTimeMeter
from worker.errors import OUT_OF_MEMORY, failure_of, outcome_of
from worker.handlers import Handler, handler_class
from worker.heartbeat import Heartbeat
from worker.loaded_model import LoadedModel
from worker.model_cache import ModelCache
from worker.persistence import Persistence

POLL_INTERVAL_S = 0.02
"""Short beside a noticeable delay, long beside the query that it costs."""

USAGE_INTERVAL_S = 5.0
"""The delay with which device time appears in an owner's usage."""

log = logging.getLogger(__name__)


class WorkerLoop:
    """Runs the jobs of one worker. One thread owns it and the device.

    Args:
        service: the open parts.
        worker_id: unique among all workers.
        model_cache: the models on the device.
        heartbeat: extends the leases of claimed jobs.
        stopping: set, by any thread or signal, to release all jobs and end.
        activity: told about every movement of the loop.
    """

    def __init__(
        self,
        service: Service,
        worker_id: str,
        model_cache: ModelCache,
        heartbeat: Heartbeat,
        stopping: threading.Event,
        *,
        activity: Activity | None = None,
    ) -> None:
        self._service = service
        self._worker_id = worker_id
        self._served = service.catalogue.subset(service.settings.worker_models)
        self._model_cache = model_cache
        self._heartbeat = heartbeat
        self._stopping = stopping
        self._activity = activity or Activity()
        self._persistence = Persistence(service, stopping, self._activity)
        self._handlers: dict[str, Handler] = {}
        self._started_at: dict[str, float] = {}
        self._quarantined: deque[Claim] = deque()
        self._polled_at = 0.0
        self._meter = DeviceTimeMeter(model_cache.throughputs)
        self._usage_written_at = time.monotonic()

    def work(self) -> None:
        """Work until no work is left or the worker stops.

        Raises:
            UnavailableError: a stopping worker could not hand its jobs back; other workers take them over when their
                leases end.
            torch.AcceleratorError: the device is lost; the jobs were returned to the queue, as lost attempts.
        """
        try:
            self._release_untracked()
            while not self._stopping.is_set() and self._poll():
                self._advance()
            self._release_all()
            self._write_usage()
        except torch.AcceleratorError:
            self._lose_all()
            raise
        finally:
            for claim in self._claims():
                self._drop(claim)
            self._quarantined.clear()
            self._activity.rests()

    def _release_untracked(self) -> None:
        """Return jobs that this worker has claimed and does not run: an error ended the loop before it released them.

        The heartbeat vouches for all jobs of this worker, so that they would be waited for without end.
        """
        if self._persistence.read(lambda session: jobs.claimed_by(session, self._worker_id)):
            self._persistence.write(lambda session: jobs.release_all(session, self._worker_id))

    def _poll(self) -> bool:
        """Drop lost jobs, end cancelled ones, start queued ones.

        Returns:
            Whether the loop goes on.
        """
        self._activity.moved()
        if self._handlers and time.monotonic() - self._polled_at < POLL_INTERVAL_S:
            return True
        for claim in [handler.claim for handler in self._handlers.values() if self._heartbeat.lost(handler.claim)]:
            self._drop(claim)
        self._end_overdue()
        claims = self._claim_next(claimable=self._cancel_requested())
        for claim in claims:
            self._start(claim)
        self._polled_at = time.monotonic()
        if self._polled_at - self._usage_written_at > USAGE_INTERVAL_S:
            self._write_usage()
        # Claims count even if all of them failed at once: they may have used the capacity that queued jobs need.
        return bool(claims or self._handlers or self._quarantined)

    def _end_overdue(self) -> None:
        """Fail the jobs that have run for longer than the service allows."""
        limit_s = self._service.settings.job_limit_s
        if not limit_s:
            return
        for handler in list(self._handlers.values()):
            if time.monotonic() - self._started_at[handler.claim.job_id] > limit_s:
                self._fail(handler.claim, JobTimeoutError(limit_s))

    def _cancel_requested(self) -> bool:
        """End jobs with a requested cancellation; returns whether a claim could find a job."""
        cancelled, claimable = self._persistence.read(self._read_queue)
        for job_id in cancelled:
            self._cancel(self._handlers[job_id].claim)
        if cancelled:
            # The freed capacity may suffice for a queued job that no other worker will poll for.
            _, claimable = self._persistence.read(self._read_queue)
        return claimable

    def _read_queue(self, session: Session) -> tuple[list[str], bool]:
        """The running jobs with a requested cancellation, and whether a claim could find a job."""
        cancelled = select(Job.id).where(Job.id.in_(self._handlers), Job.cancel_requested)
        claimable = jobs.has_claimable(session, models=self._claimable_models(session), slots=self._capacity())
        return list(session.scalars(cancelled)), claimable

    def _capacity(self) -> Mapping[str, int]:
        """Free slots by priority class; none beside an isolated job, nor while quarantined jobs wait."""
        handlers = self._handlers.values()
        if self._quarantined or any(handler.claim.isolated for handler in handlers):
            return {}
        limits = {"renderer": self._model_cache.max_pictures, "trainer": self._model_cache.max_trainings}
        used: Counter[str] = Counter()
        for handler in handlers:
            used[KINDS[handler.claim.kind].priority_class] += handler.slots
        return {
            name: (limits[priority_class.engine] if priority_class.engine else priority_class.at_once) - used[name]
            for name, priority_class in PRIORITY_CLASSES.items()
        }

    def _claim_next(self, *, claimable: bool) -> Sequence[Claim]:
        """The jobs to start now: a quarantined job once the worker is empty, otherwise jobs from the queue."""
        if self._quarantined:
            return () if self._handlers else (self._quarantined.popleft(),)
        if not claimable:
            return ()
        claims = self._persistence.write(self._claim)
        self._heartbeat.track(claims)
        return claims

    def _claim(self, session: Session) -> list[Claim]:
        return jobs.claim(
            session,
            worker_id=self._worker_id,
            models=self._claimable_models(session),
            slots=self._capacity(),
            lease_s=self._service.settings.lease_s,
        )

    def _claimable_models(self, session: Session) -> Collection[str]:
        return jobs.claimable_models(
            session,
            served=self._served,
            loaded=self._model_cache.models,
            load_after_s=self._service.settings.load_after_s,
            since_load_s=time.monotonic() - self._model_cache.last_load_at,
        )

    def _start(self, claim: Claim) -> None:
        self._activity.moved()
        self._started_at[claim.job_id] = time.monotonic()
        with _lines_of(claim):
            self._start_in_context(claim)

    def _start_in_context(self, claim: Claim) -> None:
        try:
            handler = handler_class(claim.kind)(claim, self._model_cache.get(claim.model), self._persistence)
            self._handlers[claim.job_id] = handler
            handler.start()
        except torch.AcceleratorError:
            raise
        except Exception as error:  # noqa: BLE001 - an unexpected error of one job must not end the others
            self._handle_error(claim, error)

    def _advance(self) -> None:
        active = [handler for handler in self._handlers.values() if handler.active]
        # The models of the jobs, not those of the cache, which may have evicted a model that looked idle.
        for model in dict.fromkeys(handler.loaded_model for handler in active):
            handlers = [
                handler for handler in self._handlers.values() if handler.active and handler.loaded_model is model
            ]
            if handlers:
                self._advance_model(model, handlers)
        for handler in [handler for handler in self._handlers.values() if handler not in active]:
            self._collect(handler, {})
        if self._handlers and not active:
            self._persistence.wait_delivered(POLL_INTERVAL_S)

    def _advance_model(self, model: LoadedModel, handlers: Sequence[Handler]) -> None:
        try:
            updates = model.advance()
        except torch.AcceleratorError:
            raise
        except Exception as error:  # noqa: BLE001 - any error of an engine concerns all jobs in its batch
            self._recover(model, handlers, error)
            return
        self._meter.charge(handlers)
        for handler in handlers:
            self._collect(handler, updates)

    def _collect(self, handler: Handler, updates: Mapping[Run, Update]) -> None:
        with _lines_of(handler.claim):
            try:
                if handler.collect(updates):
                    self._drop(handler.claim)
            except torch.AcceleratorError:
                raise
            except Exception as error:  # noqa: BLE001 - as in `_start`
                self._handle_error(handler.claim, error)

    def _write_usage(self) -> None:
        """Add the device time since the last call to the owners' usage."""
        if seconds := self._meter.seconds:
            self._persistence.write(lambda session: usage.add_device_s(session, seconds))
            self._meter.clear()
        self._usage_written_at = time.monotonic()

    def _handle_error(self, claim: Claim, error: Exception) -> None:
        """Take a job out of the engines after an error in one of its own calls.

        A stopping worker fails no job: the error may come from the stop, and another worker would meet it again.
        """
        if self._stopping.is_set() and not isinstance(error, LeaseLostError):
            log.warning("%s returns to the queue, since the worker stops: %r", claim.job_id, error)
            self._release(claim)
            return
        outcome = outcome_of(error, alone=not self._handlers.keys() - {claim.job_id})
        if outcome == "drop":
            self._drop(claim)
        elif outcome == "release":
            log.warning("%s returns to the queue: %s", claim.job_id, error)
            self._release(claim)
        elif outcome == "quarantine":
            self._quarantine(claim, error)
        else:
            self._fail(claim, error)

    def _recover(self, model: LoadedModel, handlers: Sequence[Handler], error: Exception) -> None:
        """Empty the engines of a model after an error in a step, and decide about the jobs that were in the batch.

        The error does not tell which job caused it. So each is retried alone: a job that fails alone is the cause, the
        others succeed. A job that was alone has failed, unless the device ran out of memory, and an idle model could go
        or settings that need less memory are left: then it is retried.
        """
        smaller = isinstance(error, OUT_OF_MEMORY) and (self._model_cache.evict_idle() | model.save_memory())
        # The engines' state may be half advanced; the jobs return to them from their checkpoints.
        model.clear()
        for handler in handlers:
            if self._stopping.is_set():
                log.warning("%s returns to the queue, since the worker stops: %r", handler.claim.job_id, error)
                self._release(handler.claim)
            elif len(handlers) > 1 or smaller:
                self._quarantine(handler.claim, error)
            else:
                self._fail(handler.claim, error)

    def _quarantine(self, claim: Claim, error: Exception) -> None:
        """Retry a job alone as soon as the worker is empty.

        The lease is kept: releasing the job would put it beside other jobs again, on this worker or another.
        """
        log.warning("%s is retried alone: %r", claim.job_id, error)
        handler = self._handlers.pop(claim.job_id, None)
        if handler is not None:
            handler.abort()
        # The handler's claim has the newest checkpoint.
        self._quarantined.append(replace(handler.claim if handler else claim, isolated=True))

    def _cancel(self, claim: Claim) -> None:
        log.info("%s is cancelled", claim.job_id)
        self._end(claim, lambda session: jobs.confirm_cancel(session, claim))

    def _release(self, claim: Claim) -> None:
        self._end(claim, lambda session: jobs.release(session, claim))

    def _fail(self, claim: Claim, error: Exception) -> None:
        code, message = failure_of(error)
        with _lines_of(claim):
            log.warning("%s failed (%s)", claim.job_id, code, exc_info=error)
        self._end(claim, lambda session: jobs.fail(session, claim, code, message))

    def _end(self, claim: Claim, write: Callable[[Session], object]) -> None:
        """Take a job out of the engines, then write its last transition, unless its lease is lost."""
        self._drop(claim)
        with _lines_of(claim), suppress(LeaseLostError):
            self._persistence.write(write)

    def _drop(self, claim: Claim) -> None:
        """Take a job out of the engines and off the heartbeat; writes nothing."""
        self._started_at.pop(claim.job_id, None)
        handler = self._handlers.pop(claim.job_id, None)
        if handler is not None:
            handler.abort()
        self._heartbeat.untrack(claim)

    def _release_all(self) -> None:
        """Checkpoint all jobs and return them to the queue, so that other workers continue at once."""
        for handler in list(self._handlers.values()):
            self._checkpoint(handler)
        claims = self._claims()
        for claim in claims:
            self._release(claim)
        for model in {claim.model for claim in claims}:
            self._service.broker.notify(model)

    def _lose_all(self) -> None:
        """Return all jobs as lost attempts, because their device is lost: one of them may have broken it."""
        loss = jobs.Loss(code="device_lost", max_attempts=self._service.settings.max_attempts)
        for claim in self._claims():
            self._handlers.pop(claim.job_id, None)  # its engines cannot be used any more
            self._heartbeat.untrack(claim)
            try:
                self._persistence.write(partial(jobs.lose, claim=claim, loss=loss))
            except (UnavailableError, LeaseLostError) as error:
                log.warning("%s was not returned: %s", claim.job_id, error)
        self._quarantined.clear()

    def _checkpoint(self, handler: Handler) -> None:
        try:
            handler.checkpoint()
        except torch.AcceleratorError:
            raise
        except Exception as error:  # noqa: BLE001 - as in `_start`
            self._handle_error(handler.claim, error)

    def _claims(self) -> list[Claim]:
        """The claims of this worker: running jobs, then quarantined ones."""
        return [*(handler.claim for handler in self._handlers.values()), *self._quarantined]


def _lines_of(claim: Claim) -> AbstractContextManager[object]:
    """Have the log lines inside the block carry the ids of a job and of the request that submitted it."""
    return correlation.bound(request=claim.request_id, traceparent=claim.traceparent, job=claim.job_id)
