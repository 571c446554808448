"""Collection of orphaned objects in a real store."""

from service import bucket
from service.retention import GRACE
from tests.support.worker_driver import later
from worker.maintenance import Maintenance

LATER = 2 * GRACE


def keys_of(service):
    return {stored.key for stored in service.storage.list_after("", 1000)} - {bucket.IDENTITY_KEY}


def test_orphans_are_collected_page_by_page_also_by_two_at_once(client, service, worker):
    client.train("my-dog", preview_every=3)
    job_id = client.generate("a photo of the dog", num_images=2)
    worker.work()
    kept = keys_of(service)
    assert len(kept) >= 5
    orphans = {f"own_local/{prefix}/{number}.bin" for prefix in ("rpc", "images", "pictures") for number in range(3)}
    for key in orphans:
        service.storage.put(key, b"orphan", "application/octet-stream")
    service.storage.put("notes.txt", b"of another program", "text/plain")
    Maintenance(service).collect_orphans()
    assert keys_of(service) == {*kept, *orphans, "notes.txt"}
    for maintenance in (Maintenance(later(service, LATER)), Maintenance(later(service, LATER))):
        maintenance.collect_orphans(page_size=2)
    assert keys_of(service) == {*kept, "notes.txt"}
    assert client.bytes_of(job_id)


def test_a_collection_continues_after_the_last_page_and_starts_over_at_the_end(service, monkeypatch):
    monkeypatch.setattr("worker.maintenance.PAGES_PER_RUN", 1)
    keys = [f"own_local/pictures/{number}.png" for number in range(3)]
    for key in keys:
        service.storage.put(key, b"orphan", "image/png")
    maintenance = Maintenance(later(service, LATER))
    remaining = []
    for _ in range(3):
        maintenance.collect_orphans(page_size=2)
        remaining.append(len(keys_of(service)))
    assert remaining == [3, 3, 0]
    service.storage.put(keys[0], b"orphan", "image/png")
    for _ in range(2):
        maintenance.collect_orphans(page_size=2)
    assert keys_of(service) == set()
