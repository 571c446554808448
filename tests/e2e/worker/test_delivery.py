"""Finished pictures are encoded, stored and written down beside the device's work, not in its way."""

import time

from tests.support.worker_driver import WorkerDriver


def test_the_device_renders_on_while_a_finished_picture_is_stored(client, service, worker, monkeypatch):
    quick, long = client.generate(steps=2), client.generate(steps=40)
    put, advanced = service.storage.put, []

    def slow(*arguments):
        (model,) = worker.model_cache.loaded_models
        before = [slot.step for slot in model.renderer.slots]
        deadline = time.monotonic() + 10
        while before and time.monotonic() < deadline and not advanced:
            if [slot.step for slot in model.renderer.slots] > before:
                advanced.append(True)
            time.sleep(0.01)
        return put(*arguments)

    monkeypatch.setattr(service.storage, "put", slow)
    worker.work()
    assert advanced
    assert [client.job(job).status for job in (quick, long)] == ["succeeded", "succeeded"]


def test_a_stopping_worker_keeps_the_pictures_that_are_rendered(client, service):
    job = client.generate(num_images=2, steps=3)
    worker = WorkerDriver(service)
    put = service.storage.put

    def stop(*arguments):
        worker.stopping.set()
        return put(*arguments)

    service.storage.put = stop
    try:
        worker.work()
    finally:
        service.storage.put = put
    ended = client.job(job)
    assert (ended.status, len(ended.images)) in {("succeeded", 2), ("queued", 2)}
