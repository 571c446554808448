"""Prometheus metrics: jobs by kind and status, the age of the queue, workers and their steps.

They are read from the database at every scrape, so that every API process reports the same.
"""

from collections.abc import Iterable
from itertools import product
from typing import get_args

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service import workers
from service.database.clock import now
from service.database.tables import Installation, Job, Status
from service.kinds.jobs import KINDS


def exposition(session: Session) -> bytes:
    """The metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Readings((_jobs(session), _queue_age(session), *_workers(session), *_collection(session))))
    return generate_latest(registry)


class _Readings(Collector):
    """Metrics that are read already."""

    def __init__(self, readings: Iterable[Metric]) -> None:
        self._readings = tuple(readings)

    def collect(self) -> Iterable[Metric]:
        return self._readings


def _jobs(session: Session) -> Metric:
    counted = session.execute(select(Job.kind, Job.status, func.count()).group_by(Job.kind, Job.status))
    counts = {(kind, status): count for kind, status, count in counted}
    family = GaugeMetricFamily("dti_jobs", "Jobs by kind and state.", labels=("kind", "status"))
    for kind, status in product(KINDS, get_args(Status)):
        family.add_metric((kind, status), counts.get((kind, status), 0))
    return family


def _queue_age(session: Session) -> Metric:
    oldest = select(Job.kind, func.min(Job.queued_at).label("since")).where(Job.status == "queued").group_by(Job.kind)
    since = {row.kind: row.since for row in session.execute(oldest)}
    family = GaugeMetricFamily(
        "dti_queue_age_seconds", "How long the oldest queued job of a kind has waited.", labels=("kind",)
    )
    for kind in KINDS:
        family.add_metric((kind,), (now(session) - since[kind]).total_seconds() if kind in since else 0.0)
    return family


def _workers(session: Session) -> tuple[Metric, ...]:
    steps = CounterMetricFamily("dti_steps", "Steps since the worker started.", labels=("worker", "work"))
    seconds = CounterMetricFamily("dti_step_seconds", "Seconds that these steps took.", labels=("worker", "work"))
    stalled = GaugeMetricFamily(
        "dti_worker_stalled_seconds", "How long a worker's present step has taken.", labels=("worker",)
    )
    active = workers.active(session)
    for worker in active:
        stalled.add_metric((worker.worker_id,), worker.stalled_s)
        steps.add_metric((worker.worker_id, "training"), worker.training_steps)
        steps.add_metric((worker.worker_id, "picture"), worker.picture_steps)
        seconds.add_metric((worker.worker_id, "training"), worker.training_s)
        seconds.add_metric((worker.worker_id, "picture"), worker.picture_s)
    return GaugeMetricFamily("dti_workers", "Active workers.", value=len(active)), steps, seconds, stalled


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
