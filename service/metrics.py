"""Prometheus metrics of the whole service: queue, ended jobs, workers, webhooks, maintenance.

They are read from the database at every scrape: every API process reports the same, and one of them is scraped. Those
of one process are in api/process_metrics.py. A scrape reads rows of unfinished jobs and active workers, and sums that
are kept; its cost does not grow with the number of ended jobs.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import counters, heartbeats, workers
from service.counters import Counter
from service.database.clock import now
from service.database.tables import Delivery, Installation, Job, Status, Worker
from service.jobs.claiming import LATENCY_BOUNDS_S
from service.kinds.jobs import KINDS
from service.workers import WorkerLoad

_WORK = ("model", "kind")


def exposition(session: Session, models: Iterable[str]) -> bytes:
    """The metrics in Prometheus' text format.

    Args:
        session: reads.
        models: of the catalogue; they have samples even while nothing happens.
    """
    names = tuple(models)
    registry = CollectorRegistry(auto_describe=False)
    counted = counters.read(session)
    active = workers.active(session)
    registry.register(
        _Readings(
            (
                *_queue(session, names),
                _jobs_ended(counted),
                _claim_latency(counted),
                *_workers(active, names),
                *_steps(active),
                *_devices(active),
                *_webhooks(session, counted),
                _maintenance(session),
                *_collection(session),
            )
        )
    )
    return generate_latest(registry)


class _Readings(Collector):
    """Metrics that are read already."""

    def __init__(self, readings: Iterable[Metric]) -> None:
        self._readings = tuple(readings)

    def collect(self) -> Iterable[Metric]:
        return self._readings


def _queue(session: Session, models: Sequence[str]) -> tuple[Metric, ...]:
    """Unfinished jobs; models that have left the catalogue are shown while they have some."""
    queued = GaugeMetricFamily("dti_jobs_queued", "Queued jobs.", labels=_WORK)
    slots = GaugeMetricFamily("dti_slots_queued", "Pictures and trainings of queued jobs.", labels=_WORK)
    age = GaugeMetricFamily("dti_queue_age_seconds", "Waiting time of the job queued longest.", labels=_WORK)
    running = GaugeMetricFamily("dti_jobs_running", "Running jobs.", labels=_WORK)
    waiting, working = _unfinished(session, "queued"), _unfinished(session, "running")
    for labels in sorted({*product(models, KINDS), *waiting, *working}):
        ahead = waiting.get(labels, _NO_JOBS)
        queued.add_metric(labels, ahead.total)
        slots.add_metric(labels, ahead.slots)
        age.add_metric(labels, (now(session) - ahead.since).total_seconds() if ahead.since else 0.0)
        running.add_metric(labels, working.get(labels, _NO_JOBS).total)
    return queued, slots, age, running


class _Unfinished(NamedTuple):
    total: int
    slots: int
    since: datetime | None


_NO_JOBS = _Unfinished(0, 0, None)


def _unfinished(session: Session, status: Status) -> Mapping[tuple[str, str], _Unfinished]:
    """The jobs in a state, by model and kind."""
    columns = (Job.model, Job.kind, func.count(), func.sum(Job.slots), func.min(Job.queued_at))
    query = select(*columns).where(Job.status == status).group_by(Job.model, Job.kind)
    rows = session.execute(query)
    return {(model, kind): _Unfinished(total, int(slots), since) for model, kind, total, slots, since in rows}


def _jobs_ended(counted: Sequence[Counter]) -> Metric:
    family = CounterMetricFamily(
        "dti_jobs_ended", "Ended jobs, by error code, `succeeded` or `cancelled`.", labels=(*_WORK, "code")
    )
    for counter in counted:
        if counter.name == "jobs_ended":
            family.add_metric((counter.model, counter.kind, counter.code), counter.count)
    return family


def _claim_latency(counted: Sequence[Counter]) -> Metric:
    family = HistogramMetricFamily("dti_claim_seconds", "Time from the queue to the claim.", labels=_WORK)
    claims: dict[tuple[str, str], dict[float, Counter]] = defaultdict(dict)
    for counter in counted:
        if counter.name == "claims":
            claims[counter.model, counter.kind][float(counter.code)] = counter
    for labels, by_bound in sorted(claims.items()):
        total, buckets = 0, []
        for bound in (*LATENCY_BOUNDS_S, math.inf):
            total += by_bound[bound].count if bound in by_bound else 0
            buckets.append((f"{bound:g}".replace("inf", "+Inf"), float(total)))
        family.add_metric(labels, buckets, sum(counter.value for counter in by_bound.values()))
    return family


def _workers(active: Sequence[Worker], models: Sequence[str]) -> tuple[Metric, ...]:
    serving = GaugeMetricFamily("dti_workers", "Active workers that serve a model.", labels=("model",))
    loaded = GaugeMetricFamily("dti_models_loaded", "Active workers that have loaded a model.", labels=("model",))
    stalled = GaugeMetricFamily(
        "dti_worker_stalled_seconds", "Age of a worker's running step; 0 without work.", labels=("worker",)
    )
    for model in models:
        serving.add_metric((model,), sum(workers.serves(worker, model) for worker in active))
        loaded.add_metric((model,), sum(model in worker.models for worker in active))
    for worker in active:
        stalled.add_metric((worker.worker_id,), worker.stalled_s)
    total = GaugeMetricFamily("dti_workers_active", "Active workers.", value=len(active))
    return serving, loaded, stalled, total


def _steps(active: Sequence[Worker]) -> tuple[Metric, ...]:
    labels = ("worker", "model", "work")
    steps = CounterMetricFamily("dti_steps", "Steps, one for each picture or training in a batch.", labels=labels)
    batches = CounterMetricFamily("dti_batches", "Steps of whole batches.", labels=labels)
    seconds = CounterMetricFamily("dti_step_seconds", "Seconds that these steps took.", labels=labels)
    loads = CounterMetricFamily("dti_model_loads", "Times that a worker loaded a model.", labels=("worker", "model"))
    for worker in active:
        for model, load in WorkerLoad.from_json(worker.gauges).models.items():
            loads.add_metric((worker.worker_id, model), load.loads)
            for work, engine in (("picture", load.rendering), ("training", load.training)):
                steps.add_metric((worker.worker_id, model, work), engine.steps)
                batches.add_metric((worker.worker_id, model, work), engine.batches)
                seconds.add_metric((worker.worker_id, model, work), engine.seconds)
    return steps, batches, seconds, loads


def _devices(active: Sequence[Worker]) -> tuple[Metric, ...]:
    labels = ("worker", "device")
    used = GaugeMetricFamily("dti_device_memory_bytes", "Device memory in use by all processes.", labels=labels)
    limit = GaugeMetricFamily("dti_device_memory_limit_bytes", "Memory of the device.", labels=labels)
    for worker in active:
        load = WorkerLoad.from_json(worker.gauges)
        if load.device_limit_bytes:
            used.add_metric((worker.worker_id, worker.device), load.device_bytes)
            limit.add_metric((worker.worker_id, worker.device), load.device_limit_bytes)
    return used, limit


def _webhooks(session: Session, counted: Sequence[Counter]) -> tuple[Metric, ...]:
    waiting = select(func.count(), func.min(Delivery.created_at)).where(Delivery.status == "pending")
    count, since = session.execute(waiting).one()
    failed = {counter.code: counter.count for counter in counted if counter.name == "deliveries_failed"}
    family = CounterMetricFamily("dti_webhook_deliveries_failed", "Messages that were given up.", labels=("reason",))
    for reason, number in {**dict.fromkeys(("attempts", "gone"), 0), **failed}.items():
        family.add_metric((reason,), number)
    age_s = (now(session) - since).total_seconds() if since else 0.0
    return (
        GaugeMetricFamily("dti_webhook_deliveries_pending", "Messages to be sent.", value=count),
        GaugeMetricFamily("dti_webhook_pending_age_seconds", "Age of the oldest of them.", value=age_s),
        family,
    )


def _maintenance(session: Session) -> Metric:
    """Infinite before the first run, so that an alert on a limit fires then as well."""
    age_s = heartbeats.age_s(session, heartbeats.MAINTENANCE)
    return GaugeMetricFamily(
        "dti_maintenance_age_seconds",
        "Time since maintenance was last seen.",
        value=math.inf if age_s is None else age_s,
    )


def _collection(session: Session) -> tuple[Metric, ...]:
    """An alert belongs on `dti_orphan_collection_stopped`: objects pile up, and somebody has to look."""
    stopped = GaugeMetricFamily(
        "dti_orphan_collection_stopped", "Whether no orphaned objects are deleted, by reason.", labels=("reason",)
    )
    row = session.scalars(select(Installation)).one_or_none()
    for reason in ("foreign_bucket", "too_many_orphans"):
        stopped.add_metric((reason,), float(row is not None and row.collection == reason))
    kept = GaugeMetricFamily("dti_orphans", "Orphaned objects found and not deleted.", value=row.orphans if row else 0)
    return stopped, kept
