"""What workers say of themselves, and what Prometheus reads of it."""

from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from service import jobs, metrics, workers
from service.database.tables import Worker
from tests.service.hands import NOON, moment

ADA = workers.Presence(worker_id="ada", device="cpu", models=["tiny"], training_steps=400, training_s=32.0)


def see(hands, presence, after_s=0.0):
    hands.write(workers.seen, presence, moment(after_s))


def test_a_worker_is_there_until_it_is_silent_or_says_goodbye(hands):
    see(hands, ADA)
    see(hands, workers.Presence(worker_id="bob", device="cpu", models=["tiny", "sd15"]))
    with hands.database.reading() as session:
        assert workers.loaded(session, NOON) == {"tiny", "sd15"}
        assert workers.loaded(session, moment(workers.SILENT_S + 1)) == set()
    hands.write(workers.gone, "bob")
    with hands.database.reading() as session:
        assert [desk.worker_id for desk in workers.present(session, NOON)] == ["ada"]


def test_rows_of_workers_that_are_long_gone_are_removed(hands):
    see(hands, ADA)
    see(hands, workers.Presence(worker_id="bob", device="cpu", models=[]), timedelta(days=2).total_seconds())
    with hands.database.reading() as session:
        assert [desk.worker_id for desk in session.query(Worker)] == ["bob"]


def test_the_newest_card_of_a_model_is_kept(hands):
    for fingerprint in ("a", "b"):
        hands.write(workers.publish_card, "tiny", {"fingerprint": fingerprint, "encoders": {}}, NOON)
    with hands.database.reading() as session:
        assert workers.cards(session) == {"tiny": {"fingerprint": "b", "encoders": {}}}


def samples(hands, after_s=0.0):
    with hands.database.reading() as session:
        text = metrics.exposition(session, moment(after_s)).decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_jobs_the_queues_age_and_the_workers_steps(hands):
    hands.submit("train")
    hands.submit()
    hands.submit()
    hands.write(jobs.succeed, hands.claim(pictures=1, trainings=0)[0], NOON)
    see(hands, ADA)
    read = samples(hands, after_s=10)
    assert read["dti_jobs", "queued", "train"] == 1
    assert read["dti_jobs", "generate", "queued"] == 1
    assert read["dti_jobs", "generate", "succeeded"] == 1
    assert read["dti_jobs", "failed", "interpolate"] == 0
    assert read["dti_queue_age_seconds", "train"] == 10
    assert read["dti_queue_age_seconds", "interpolate"] == 0
    assert read["dti_workers",] == 1
    assert read["dti_steps_total", "ada", "training"] == 400
    assert read["dti_step_seconds_total", "ada", "training"] == 32.0
    assert samples(hands, after_s=60)["dti_workers",] == 0
