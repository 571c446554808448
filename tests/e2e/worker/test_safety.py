"""Policies about flagged pictures, with a real checker; its threshold makes it flag all, none, or some."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from service import rpc
from service.database.tables import LOCAL_OWNER_ID
from tests.support.worker_driver import MODEL, JobClient, WorkerDriver, now, pictures

ALL, NONE = 1e-9, 1.0


@pytest.fixture
def under(service):
    """A client and a worker under a policy, with a threshold from which pictures are flagged."""

    def opened(policy, threshold):
        safety = replace(service.settings.safety, policy=policy, checker="opennsfw", threshold=threshold)
        guarded = replace(service, settings=replace(service.settings, safety=safety))
        return JobClient(guarded), WorkerDriver(guarded)

    return opened


def verdicts(client, job_id):
    return [image.safety for image in client.job(job_id).images]


def test_where_everything_is_allowed_nobody_looks(under):
    client, worker = under("allow", ALL)
    job_id = client.generate()
    worker.work()
    assert verdicts(client, job_id) == [None]


def test_a_flagged_picture_is_told_or_blurred_or_nothing_at_all(under):
    plain = {}
    for policy in ("tag", "blur", "refuse"):
        client, worker = under(policy, ALL)
        job_id = client.generate(num_images=2, steps=2)
        worker.work()
        job = client.job(job_id)
        if policy == "refuse":
            assert (job.status, job.error_code, job.images) == ("failed", "output_refused", [])
            continue
        assert job.status == "succeeded"
        assert [(one["checker"], one["flagged"]) for one in verdicts(client, job_id)] == [("opennsfw", True)] * 2
        plain[policy] = client.pixels_of(job_id)
    for shown, blurred in zip(plain["tag"], plain["blur"], strict=True):
        assert blurred.std() < shown.std()


def test_of_several_pictures_only_the_flagged_are_withheld(under):
    client, worker = under("tag", NONE)
    told = client.generate(num_images=3, steps=2)
    worker.work()
    scores = sorted(one["score"] for one in verdicts(client, told))
    client, worker = under("refuse", (scores[1] + scores[2]) / 2)
    job_id = client.generate(num_images=3, steps=2)
    worker.work()
    assert client.job(job_id).status == "succeeded"
    assert [one["flagged"] for one in verdicts(client, job_id)] == [False, False]


def test_a_walk_is_nothing_without_one_of_its_pictures_and_a_training_goes_on_without_previews(under):
    client, worker = under("refuse", ALL)
    training = client.train("my-dog", preview_every=3)
    worker.work()
    assert (client.job(training).status, client.job(training).images) == ("succeeded", [])
    walk = client.interpolate("my-dog", "my-dog", frames=2, steps=2, animation="gif")
    worker.work()
    assert (client.job(walk).error_code, client.job(walk).images) == ("output_refused", [])


def test_a_worker_that_cannot_look_passes_nothing(under, service):
    client, _ = under("refuse", ALL)
    job_id = client.generate(steps=2)
    WorkerDriver(service, "blind").work()
    assert (client.job(job_id).status, client.job(job_id).error_code) == ("failed", "settings_invalid")


def test_uploads_are_looked_at_in_their_order(under, service):
    client, worker = under("refuse", ALL)
    harmless = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(harmless, "PNG")
    keys = [f"own_local/pictures/x/{number}.png" for number in range(3)]
    for key, data in zip(keys, [*pictures(), harmless.getvalue()], strict=True):
        service.storage.put(key, data, "image/png")
    with service.database.writing() as session:
        rpc_id = rpc.submit_inspection(
            client.service, session, owner_id=LOCAL_OWNER_ID, model=MODEL, picture_keys=keys, now=now()
        ).id
    worker.work()
    with service.database.reading() as session:
        found = session.get(rpc.Job, rpc_id).result["verdicts"]
    assert len(found) == 3
    assert len({one["score"] for one in found}) > 1
