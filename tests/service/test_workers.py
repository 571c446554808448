"""Worker registry."""

from datetime import timedelta

from service import workers
from service.database.tables import Worker
from tests.support.queue_driver import moment

ADA = workers.Presence(worker_id="ada", device="cpu", models=["tiny"], served_models=["tiny", "sdxl"])


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
        assert workers.cards(session) == {"tiny": {"fingerprint": "b", "encoders": {}, "version": workers.CARD_VERSION}}


def test_a_worker_serves_the_models_that_it_reports_loaded_or_not(queue):
    see(queue, ADA)
    with queue.database.reading() as session:
        (ada,) = workers.active(session)
    assert [workers.serves(ada, model) for model in ("tiny", "sdxl", "other")] == [True, True, False]


def test_the_load_of_a_worker_is_the_same_after_a_round_trip_and_empty_for_older_workers():
    engine = workers.EngineLoad(steps=4, batches=2, seconds=1.5)
    load = workers.WorkerLoad(
        device_bytes=1, device_limit_bytes=2, models={"tiny": workers.ModelLoad(loads=1, training=engine)}
    )
    assert workers.WorkerLoad.from_json(load.to_json()) == load
    assert workers.WorkerLoad.from_json({}) == workers.WorkerLoad()
