"""Prometheus metrics of the whole service."""

import math

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import counters, heartbeats, jobs, metrics, workers
from service.workers import EngineLoad, ModelLoad, WorkerLoad
from tests.support.queue_driver import moment

MODELS = ("tiny", "sdxl")
LOAD = WorkerLoad(
    device_bytes=30,
    device_limit_bytes=80,
    models={
        "tiny": ModelLoad(
            loads=2,
            rendering=EngineLoad(steps=40, batches=10, seconds=2.0),
            training=EngineLoad(steps=400, batches=200, seconds=32.0),
        )
    },
)
ADA = workers.Presence(
    worker_id="ada", device="cuda:0", models=["tiny"], served_models=["tiny"], load=LOAD, stalled_s=7.5
)


@pytest.fixture
def read(queue):
    """The samples at a time after noon: by name and the values of the labels, in the order of the labels' names."""

    def samples(after_s=0.0):
        text = queue.read(metrics.exposition, MODELS, at=moment(after_s)).decode()
        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    return samples


def test_the_queue_is_told_by_model_and_kind_with_zeros_for_models_without_jobs(queue, read):
    queue.submit("train", model="sdxl")
    queue.submit(slots=3)
    queue.submit(slots=4)
    queue.claim(pictures=1, trainings=0)
    found = read(after_s=10)
    assert found["dti_jobs_queued", "train", "sdxl"] == 1
    assert found["dti_jobs_queued", "generate", "tiny"] == 1
    assert found["dti_slots_queued", "generate", "tiny"] == 4
    assert found["dti_jobs_running", "generate", "tiny"] == 1
    assert found["dti_queue_age_seconds", "train", "sdxl"] == 10
    assert found["dti_jobs_queued", "generate", "sdxl"] == 0
    assert found["dti_queue_age_seconds", "interpolate", "sdxl"] == 0


def test_jobs_of_a_model_that_left_the_catalogue_are_shown(queue, read):
    queue.submit(model="gone")
    assert read()["dti_jobs_queued", "generate", "gone"] == 1


def test_ended_jobs_are_counted_by_code_and_stay_counted_when_their_rows_are_gone(queue, read):
    for _ in range(3):
        queue.submit()
    first, second, third = queue.claim()
    queue.write(jobs.succeed, first)
    queue.write(jobs.fail, second, "out_of_memory", "It is full.")
    queue.write(jobs.request_cancel, third.job_id)
    queue.write(jobs.confirm_cancel, third)
    with queue.database.writing() as session:
        for claim in (first, second, third):
            jobs.deletion.delete(session, "own_local", claim.job_id)
    for _ in range(2):
        found = read()
        assert found["dti_jobs_ended_total", "succeeded", "generate", "tiny"] == 1
        assert found["dti_jobs_ended_total", "out_of_memory", "generate", "tiny"] == 1
        assert found["dti_jobs_ended_total", "cancelled", "generate", "tiny"] == 1
        queue.write(counters.fold)


def test_the_time_from_the_queue_to_the_claim_is_a_histogram(queue, read):
    for waited_s in (0.2, 3.0, 4000.0):
        queue.submit()
        queue.claim(after_s=waited_s)
    found = read()
    by_bound = {labels[2]: value for labels, value in found.items() if labels[0] == "dti_claim_seconds_bucket"}
    assert (by_bound["0.1"], by_bound["0.25"], by_bound["5"], by_bound["1800"], by_bound["+Inf"]) == (0, 1, 2, 2, 3)
    assert found["dti_claim_seconds_sum", "generate", "tiny"] == pytest.approx(4003.2)
    assert found["dti_claim_seconds_count", "generate", "tiny"] == 3


def test_workers_are_told_by_the_models_that_they_serve_with_steps_batches_loads_and_memory(queue, read):
    queue.write(workers.heartbeat, ADA)
    found = read()
    assert (found["dti_workers", "tiny"], found["dti_workers", "sdxl"], found["dti_workers_active",]) == (1, 0, 1)
    assert found["dti_models_loaded", "tiny"] == 1
    assert found["dti_steps_total", "tiny", "training", "ada"] == 400
    assert found["dti_batches_total", "tiny", "picture", "ada"] == 10
    assert found["dti_step_seconds_total", "tiny", "training", "ada"] == 32.0
    assert found["dti_model_loads_total", "tiny", "ada"] == 2
    assert found["dti_worker_stalled_seconds", "ada"] == 7.5
    assert found["dti_device_memory_bytes", "cuda:0", "ada"] == 30
    assert found["dti_device_memory_limit_bytes", "cuda:0", "ada"] == 80
    late = read(after_s=workers.SILENT_S + 1)
    assert (late["dti_workers", "tiny"], late["dti_workers_active",]) == (0, 0)


def test_maintenance_that_was_never_seen_is_infinitely_old(queue, read):
    assert read()["dti_maintenance_age_seconds",] == math.inf
    queue.write(heartbeats.beat, heartbeats.MAINTENANCE)
    assert read(after_s=9)["dti_maintenance_age_seconds",] == 9


def test_without_webhooks_their_metrics_are_zero(read):
    found = read()
    assert found["dti_webhook_deliveries_pending",] == 0
    assert found["dti_webhook_pending_age_seconds",] == 0
    assert found["dti_webhook_deliveries_failed_total", "attempts"] == 0


def test_the_work_of_a_scrape_does_not_grow_with_the_jobs_that_have_ended(queue, read):
    if queue.database.url.get_backend_name() != "sqlite":
        pytest.skip("SQLite counts the steps of its virtual machine")
    _steps_of(queue, read, ended=1)  # the rows of the counters exist afterwards
    few = _steps_of(queue, read, ended=10)
    many = _steps_of(queue, read, ended=300)
    assert many <= few * 1.2


def _steps_of(queue, read, *, ended):
    for _ in range(ended):
        queue.submit()
    for claim in queue.claim(pictures=10_000):
        queue.write(jobs.succeed, claim)
    while queue.write(counters.fold):
        pass
    count = 0

    def step():
        nonlocal count
        count += 1

    connection = queue.database.engine.raw_connection()
    connection.driver_connection.set_progress_handler(step, 1)
    connection.close()
    read()
    connection = queue.database.engine.raw_connection()
    connection.driver_connection.set_progress_handler(None, 1)
    connection.close()
    return count
