"""The shift: the one loop in which a worker takes jobs, brings them forward and writes down what came of them.

    look around ──▶ claim ──▶ begin ──▶ advance every station ──▶ settle every job ──▶ look around …

It looks around between any two steps, at most every 20 ms, so that a new picture joins those in the making and a
cancelled job leaves within a step; a busy worker hears no bell. It ends when nothing is left to do, or hands everything
back when the worker stops. It knows neither what a kind of job does nor how a model works.

Who is in an engine when it breaks is started again alone, from the newest checkpoint, one job after the other: the
innocent end well, and who breaks it alone has failed.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NamedTuple

import torch
from sqlalchemy import select
from sqlalchemy.orm import Session

from dti.errors import DTIError
from service import jobs
from service.accounts import usage
from service.context import Service
from service.database.tables import Job
from service.errors import LeaseLostError, ServiceError, UnavailableError
from service.jobs import Claim
from worker.device_time import DeviceTimeMeter
from worker.handlers import HANDLERS, Handler
from worker.handlers.base import now
from worker.heartbeat import Heartbeat
from worker.loaded_model import LoadedModel
from worker.model_cache import ModelCache
from worker.persistence import Persistence

POLL_INTERVAL_S = 0.02
"""Short beside a step that somebody notices, long beside the query that it costs."""

RPCS_AT_ONCE = 4
"""Done between two steps, which others wait for."""

USAGE_EVERY_S = 5.0
"""How late owners hear of what they used."""

_OUT_OF_MEMORY = (torch.OutOfMemoryError, MemoryError)

log = logging.getLogger(__name__)


class Capacity(NamedTuple):
    """How many more pictures, trainings and RPCs a worker can take."""

    pictures: int
    trainings: int
    rpcs: int


class WorkerLoop:
    """A worker at work. One thread owns it and the device.

    Args:
        service: the open parts.
        worker_id: names this worker among all.
        desk: the models on the device.
        lease: keeps what was claimed this worker's own.
        stopping: set, by any thread or signal, when everything is to be handed back.
    """

    def __init__(
        self, service: Service, worker_id: str, desk: ModelCache, lease: Heartbeat, stopping: threading.Event
    ) -> None:
        self._service = service
        self._worker_id = worker_id
        self._desk = desk
        self._lease = lease
        self._stopping = stopping
        self._ledger = Persistence(service, stopping)
        self._handlers: dict[str, Handler] = {}
        self._suspects: deque[Claim] = deque()
        self._looked_at = 0.0
        self._meter = DeviceTimeMeter(desk.paces)
        self._usage_written_at = time.monotonic()

    def work(self) -> None:
        """Work until nothing is left to do or the worker stops.

        Raises:
            UnavailableError: the database stayed away; what was held is taken over by others when its lease ends.
        """
        try:
            while not self._stopping.is_set():
                began = self._look_around()
                if not began and not self._handlers and not self._suspects:
                    break
                self._advance()
            else:
                self._hand_everything_back()
            self._write_usage()
        finally:
            for claim in [*(handler.claim for handler in self._handlers.values()), *self._suspects]:
                self._drop(claim)
            self._suspects.clear()
            for station in self._desk.stations:
                station.make_room()

    def _look_around(self) -> bool:
        """Drop what was lost, end what was cancelled, take what is queued.

        Returns:
            Whether anything was begun, even if it failed at once: it may have kept others out.
        """
        if self._handlers and time.monotonic() - self._looked_at < POLL_INTERVAL_S:
            return False
        for claim in [handler.claim for handler in self._handlers.values() if self._lease.lost(handler.claim)]:
            self._drop(claim)
        cancelled, waiting = self._ledger.read(self._news)
        for job_id in cancelled:
            self._cancel(self._handlers[job_id].claim)
        if cancelled:
            # There is room now that there was not, and perhaps nobody else who would look again.
            _, waiting = self._ledger.read(self._news)
        claims = self._next(waiting=waiting)
        for claim in claims:
            self._begin(claim)
        self._looked_at = time.monotonic()
        if self._looked_at - self._usage_written_at > USAGE_EVERY_S:
            self._write_usage()
        return bool(claims)

    def _news(self, session: Session) -> tuple[list[str], bool]:
        """The jobs here whose end somebody asked for, and whether a claim could find anything."""
        asked = select(Job.id).where(Job.id.in_(self._handlers), Job.cancel_requested)
        room = self._room()
        waiting = jobs.has_claimable(
            session,
            models=self._service.catalogue,
            pictures=room.pictures > 0,
            trainings=room.trainings > 0,
            rpcs=room.rpcs > 0,
        )
        return list(session.scalars(asked)), waiting

    def _room(self) -> Capacity:
        """What there is room for; nothing beside a job that must be alone."""
        handlers = self._handlers.values()
        if self._suspects or any(handler.claim.isolated for handler in handlers):
            return Capacity(0, 0, 0)
        return Capacity(
            self._desk.picture_room - sum(handler.pictures for handler in handlers),
            self._desk.training_room - sum(handler.trainings for handler in handlers),
            RPCS_AT_ONCE,
        )

    def _next(self, *, waiting: bool) -> Sequence[Claim]:
        """What to begin now: a suspect where nobody else is here, else what the queue gives."""
        if self._suspects:
            return () if self._handlers else (self._suspects.popleft(),)
        if not waiting:
            return ()
        claims = self._ledger.write(self._claim)
        self._lease.hold(claims)
        return claims

    def _claim(self, session: Session) -> list[Claim]:
        room = self._room()
        return jobs.claim(
            session,
            worker_id=self._worker_id,
            models=self._service.catalogue,
            picture_slots=room.pictures,
            training_slots=room.trainings,
            rpc_slots=room.rpcs,
            now=now(),
            lease_s=self._service.settings.lease_s,
        )

    def _begin(self, claim: Claim) -> None:
        with self._blaming(claim):
            handler = HANDLERS[claim.kind](claim, self._desk.station(claim.model), self._ledger)
            self._handlers[claim.job_id] = handler
            handler.begin()

    def _advance(self) -> None:
        # Of the jobs and not of the desk, which may have put out a station that looked idle.
        for station in dict.fromkeys(handler.station for handler in self._handlers.values()):
            handlers = [handler for handler in self._handlers.values() if handler.station is station]
            if handlers:
                self._advance_station(station, handlers)

    def _advance_station(self, station: LoadedModel, handlers: Sequence[Handler]) -> None:
        try:
            updates = station.advance()
        except torch.AcceleratorError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an engine raises, its jobs part ways
            self._break_up(station, handlers, error)
            return
        self._meter.read(handlers)
        for handler in handlers:
            with self._blaming(handler.claim):
                if handler.settle(updates):
                    self._drop(handler.claim)

    def _write_usage(self) -> None:
        """Write down whose jobs took how much of the device since the last time."""
        if seconds := self._meter.seconds:
            self._ledger.write(lambda session: usage.add_device_s(session, seconds, now()))
            self._meter.clear()
        self._usage_written_at = time.monotonic()

    @contextmanager
    def _blaming(self, claim: Claim) -> Iterator[None]:
        """What goes wrong inside concerns this job alone, except that memory is everybody's."""
        try:
            yield
        except LeaseLostError:
            self._drop(claim)
        except UnavailableError as error:
            log.warning("%s goes back into the queue: %s", claim.job_id, error)
            self._hand_back(claim)
        except (DTIError, ServiceError) as error:
            self._fail(claim, error)
        except torch.AcceleratorError:
            raise
        except _OUT_OF_MEMORY as error:
            if self._handlers.keys() - {claim.job_id}:
                self._suspect(claim, error)
            else:
                self._fail(claim, error)
        except Exception as error:  # noqa: BLE001 - one job's surprise must not end its neighbours
            self._fail(claim, error)

    def _break_up(self, station: LoadedModel, handlers: Sequence[Handler], error: Exception) -> None:
        """Start the jobs of a broken station again, each alone; one that was alone has failed.

        Where memory ran out a lone job is tried with fewer pictures at once, until it is down to one.
        """
        smaller = isinstance(error, _OUT_OF_MEMORY) and station.make_smaller()
        station.clear()
        for handler in handlers:
            if len(handlers) > 1 or smaller:
                self._suspect(handler.claim, error)
            else:
                self._fail(handler.claim, error)

    def _suspect(self, claim: Claim, error: Exception) -> None:
        """Have a job start again as soon as nobody else is here, and nobody join it; its lease is kept."""
        log.warning("%s runs alone from here: %r", claim.job_id, error)
        handler = self._handlers.pop(claim.job_id, None)
        if handler is not None:
            handler.leave()
        # The handler's claim knows the newest checkpoint.
        self._suspects.append(replace(handler.claim if handler else claim, isolated=True))

    def _cancel(self, claim: Claim) -> None:
        log.info("%s is cancelled", claim.job_id)
        self._end(claim, lambda session: jobs.confirm_cancel(session, claim, now()))

    def _hand_back(self, claim: Claim) -> None:
        self._end(claim, lambda session: jobs.release(session, claim, now()))

    def _fail(self, claim: Claim, error: Exception) -> None:
        code, message = _told(error)
        log.warning("%s failed (%s)", claim.job_id, code, exc_info=error)
        self._end(claim, lambda session: jobs.fail(session, claim, code, message, now()))

    def _end(self, claim: Claim, write: Callable[[Session], object]) -> None:
        """Take a job out of the engines, then write its last word, unless it is somebody else's by now."""
        self._drop(claim)
        with suppress(LeaseLostError):
            self._ledger.write(write)

    def _drop(self, claim: Claim) -> None:
        """Forget a job without a word."""
        handler = self._handlers.pop(claim.job_id, None)
        if handler is not None:
            handler.leave()
        self._lease.give_up(claim)

    def _hand_everything_back(self) -> None:
        """Let other workers go on from where the jobs are, at once."""
        for handler in list(self._handlers.values()):
            with self._blaming(handler.claim):
                handler.keep()
        held = [*(handler.claim for handler in self._handlers.values()), *self._suspects]
        for claim in held:
            self._hand_back(claim)
        for model in {claim.model for claim in held}:
            self._service.broker.notify(model)


def _told(error: Exception) -> tuple[str, str]:
    """The code and sentence with which a job fails."""
    if isinstance(error, DTIError | ServiceError):
        return error.code, str(error)
    if isinstance(error, _OUT_OF_MEMORY):
        return "out_of_memory", (
            "The device has too little memory for this job, even alone. "
            "Ask for smaller or fewer pictures, or a smaller batch_size or resolution."
        )
    return "internal_error", (
        f"The worker met an error that it did not expect ({type(error).__name__}); its log says more. "
        "Trying again may help; where it does not, please report it."
    )
