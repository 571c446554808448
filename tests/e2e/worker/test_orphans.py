"""The maintenance go through a real storage for what was left behind."""

from datetime import timedelta

from service.retention import GRACE
from tests.support.worker_driver import now
from worker.maintenance import Maintenance

LATER = 2 * GRACE


def everything(service):
    return {one.key for one in service.storage.listed("", 1000)}


def test_what_was_left_behind_is_found_page_by_page_and_by_two_at_once(client, service, worker):
    client.train("my-dog", preview_every=3)
    job_id = client.generate("a photo of the dog", num_images=2)
    worker.work()
    kept = everything(service)
    assert len(kept) >= 5
    orphans = {f"own_local/{room}/{number}.bin" for room in ("rpc", "images", "pictures") for number in range(3)}
    for key in orphans:
        service.storage.put(key, b"left behind", "application/octet-stream")
    service.storage.put("notes.txt", b"somebody's own", "text/plain")
    Maintenance(service).search(now())
    assert everything(service) == {*kept, *orphans, "notes.txt"}
    for maintenance in (Maintenance(service), Maintenance(service)):
        maintenance.search(now() + LATER, page=2)
    assert everything(service) == {*kept, "notes.txt"}
    assert client.bytes_of(job_id)


def test_a_search_goes_on_where_the_last_one_stopped_and_begins_anew(service, monkeypatch):
    monkeypatch.setattr("worker.maintenance.PAGES", 1)
    keys = [f"own_local/pictures/{number}.png" for number in range(3)]
    for key in keys:
        service.storage.put(key, b"left behind", "image/png")
    maintenance = Maintenance(service)
    left = []
    for _ in range(3):
        maintenance.search(now() + LATER, page=2)
        left.append(len(everything(service)))
    assert left == [1, 0, 0]
    service.storage.put(keys[0], b"left behind", "image/png")
    maintenance.search(now() + LATER + timedelta(minutes=1), page=2)
    assert everything(service) == set()
