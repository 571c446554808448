"""Worker registry and Prometheus metrics."""

from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from service import jobs, metrics, workers
from service.database.tables import Worker
from tests.support.queue_driver import moment

ADA = workers.Presence(
    worker_id="ada", device="cpu", models=["tiny"], training_steps=400, training_s=32.0, stalled_s=7.5
)


def see(queue, presence, after_s=0.0):
    queue.write(workers.heartbeat, presence, at=moment(after_s))


def test_a_worker_is_active_until_its_heartbeat_stops_or_it_unregisters(queue):
    see(queue, ADA)
    see(queue, workers.Presence(worker_id="bob", device="cpu", models=["tiny", "sd15"]))
    with queue.database.reading() as session:
        assert workers.loaded_models(session) == {"tiny", "sd15"}
    assert queue.read(workers.loaded_models, at=moment(workers.SILENT_S + 1)) == set()
    queue.write(workers.unregister, "bob")
    with queue.database.reading() as session:
        assert [row.worker_id for row in workers.active(session)] == ["ada"]


def test_rows_of_inactive_workers_are_deleted(queue):
    see(queue, ADA)
    see(queue, workers.Presence(worker_id="bob", device="cpu", models=[]), timedelta(days=2).total_seconds())
    with queue.database.reading() as session:
        assert [row.worker_id for row in session.query(Worker)] == ["bob"]


def test_the_newest_card_of_a_model_is_kept(queue):
    for fingerprint in ("a", "b"):
        queue.write(workers.publish_card, "tiny", {"fingerprint": fingerprint, "encoders": {}})
    with queue.database.reading() as session:
        assert workers.cards(session) == {"tiny": {"fingerprint": "b", "encoders": {}}}


def samples(queue, after_s=0.0):
    text = queue.read(metrics.exposition, at=moment(after_s)).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_have_jobs_the_age_of_the_queue_and_the_steps_of_workers(queue):
    queue.submit("train")
    queue.submit()
    queue.submit()
    queue.write(jobs.succeed, queue.claim(pictures=1, trainings=0)[0])
    see(queue, ADA)
    read = samples(queue, after_s=10)
    assert read["dti_jobs", "queued", "train"] == 1
    assert read["dti_jobs", "generate", "queued"] == 1
    assert read["dti_jobs", "generate", "succeeded"] == 1
    assert read["dti_jobs", "failed", "interpolate"] == 0
    assert read["dti_queue_age_seconds", "train"] == 10
    assert read["dti_queue_age_seconds", "interpolate"] == 0
    assert read["dti_workers",] == 1
    assert read["dti_steps_total", "ada", "training"] == 400
    assert read["dti_step_seconds_total", "ada", "training"] == 32.0
    assert read["dti_worker_stalled_seconds", "ada"] == 7.5
    assert samples(queue, after_s=60)["dti_workers",] == 0
