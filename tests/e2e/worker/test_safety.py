"""Policies for flagged pictures, with a real checker; the threshold makes it flag all, none or some."""

import io
from dataclasses import replace

import pytest
from PIL import Image

from service import rpc
from service.database.tables import LOCAL_OWNER_ID
from tests.support.worker_driver import MODEL, JobClient, WorkerDriver, pictures

ALL, NONE = 1e-9, 1.0


@pytest.fixture
def with_policy(service):
    """Opens a client and a worker with a policy and the threshold from which pictures are flagged."""

    def open_with(policy, threshold):
        safety = replace(service.settings.safety, policy=policy, checker="opennsfw", threshold=threshold)
        guarded = replace(service, settings=replace(service.settings, safety=safety))
        return JobClient(guarded), WorkerDriver(guarded)

    return open_with


def verdicts(client, job_id):
    return [image.safety for image in client.job(job_id).images]


def test_the_policy_allow_checks_no_picture(with_policy):
    client, worker = with_policy("allow", ALL)
    job_id = client.generate()
    worker.work()
    assert verdicts(client, job_id) == [None]


def test_a_flagged_picture_is_tagged_blurred_or_withheld(with_policy):
    pixels = {}
    for policy in ("tag", "blur", "refuse"):
        client, worker = with_policy(policy, ALL)
        job_id = client.generate(num_images=2, steps=2)
        worker.work()
        job = client.job(job_id)
        if policy == "refuse":
            assert (job.status, job.error_code, job.images) == ("failed", "output_refused", [])
            continue
        assert job.status == "succeeded"
        assert [(verdict["checker"], verdict["flagged"]) for verdict in verdicts(client, job_id)] == [
            ("opennsfw", True)
        ] * 2
        pixels[policy] = client.pixels_of(job_id)
    for shown, blurred in zip(pixels["tag"], pixels["blur"], strict=True):
        assert blurred.std() < shown.std()


def test_only_the_flagged_pictures_of_a_generation_are_withheld(with_policy):
    client, worker = with_policy("tag", NONE)
    tagged = client.generate(num_images=3, steps=2)
    worker.work()
    scores = sorted(verdict["score"] for verdict in verdicts(client, tagged))
    client, worker = with_policy("refuse", (scores[1] + scores[2]) / 2)
    job_id = client.generate(num_images=3, steps=2)
    worker.work()
    assert client.job(job_id).status == "succeeded"
    assert [verdict["flagged"] for verdict in verdicts(client, job_id)] == [False, False]


def test_an_interpolation_fails_with_a_flagged_picture_and_a_training_goes_on_without_previews(with_policy):
    client, worker = with_policy("refuse", ALL)
    training = client.train("my-dog", preview_every=3)
    worker.work()
    assert (client.job(training).status, client.job(training).images) == ("succeeded", [])
    interpolation = client.interpolate("my-dog", "my-dog", frames=2, steps=2, animation="gif")
    worker.work()
    assert (client.job(interpolation).error_code, client.job(interpolation).images) == ("output_refused", [])


def test_a_worker_without_a_checker_passes_no_picture(with_policy, service):
    client, _ = with_policy("refuse", ALL)
    job_id = client.generate(steps=2)
    WorkerDriver(service, "unchecked").work()
    assert (client.job(job_id).status, client.job(job_id).error_code) == ("failed", "settings_invalid")


def test_uploads_are_checked_in_order(with_policy, service):
    client, worker = with_policy("refuse", ALL)
    harmless = io.BytesIO()
    Image.new("RGB", (64, 64), "white").save(harmless, "PNG")
    keys = [f"own_local/pictures/x/{number}.png" for number in range(3)]
    for key, data in zip(keys, [*pictures(), harmless.getvalue()], strict=True):
        service.storage.put(key, data, "image/png")
    with service.database.writing() as session:
        rpc_id = rpc.submit_inspection(
            client.service, session, owner_id=LOCAL_OWNER_ID, model=MODEL, picture_keys=keys
        ).id
    worker.work()
    with service.database.reading() as session:
        assessments = session.get(rpc.Job, rpc_id).result["verdicts"]
    assert len(assessments) == 3
    assert len({verdict["score"] for verdict in assessments}) > 1
