"""Queries of jobs: one, a list, events, metrics."""

from dataclasses import replace

import pytest

from service import jobs
from service.database.tables import Event
from service.errors import InvalidInputError, NotFoundError
from tests.support.queue_driver import NOON
from tests.support.service_driver import image


def page(queue, cursor=None, limit=100, **filters):
    with queue.database.reading() as session:
        return jobs.page(session, "own_local", jobs.Filters(**filters), cursor, limit)


def test_jobs_are_listed_newest_first_in_pages_without_gaps(queue):
    submitted = [queue.submit() for _ in range(7)]
    listed, cursor = [], None
    while True:
        listed_page = page(queue, cursor, 3)
        listed += [job.id for job in listed_page.items]
        cursor = listed_page.next
        if cursor is None:
            break
        submitted.append(queue.submit())
    assert listed == submitted[:7][::-1]


def test_a_list_is_filtered(queue):
    training, generation = queue.submit("train"), queue.submit()
    queue.submit(owner=queue.owner("own_other"))
    queue.claim(pictures=0)
    assert [job.id for job in page(queue, kind="train").items] == [training]
    assert [job.id for job in page(queue, status="queued").items] == [generation]
    assert [job.id for job in page(queue, concept="con_x").items] == [training]
    assert [job.id for job in page(queue, concept="x").items] == [training]
    assert page(queue, concept="nobody").items == []
    with pytest.raises(InvalidInputError, match="cursor"):
        page(queue, "con_1")


def test_a_job_is_visible_to_its_owner_only(queue):
    job_id = queue.submit()
    with queue.database.reading() as session:
        assert jobs.get(session, "own_local", job_id).id == job_id
        for owner, reference in (("own_other", job_id), ("own_local", "job_nobody")):
            with pytest.raises(NotFoundError):
                jobs.get(session, owner, reference)


def test_events_are_read_after_a_given_number(queue):
    first, second = queue.submit(), queue.submit()
    (claim, _) = queue.claim()
    queue.write(jobs.progress, claim, step=5, total=20, loss=0.25, eta_s=1.5)
    queue.write(jobs.succeed, claim)
    with queue.database.reading() as session:
        later = jobs.events_after(session, first, 2)
        assert jobs.last_events(session, [first, second]) == {first: 5, second: 2}
    assert [(event.number, event.name) for event in later] == [(3, "progress"), (4, "status"), (5, "done")]
    assert later[0].data == {"step": 5, "total": 20, "loss": 0.25, "eta_s": 1.5}
    assert later[2].data == {
        "status": "succeeded",
        "attempt": 1,
        "cancel_requested": False,
        "step": 20,
        "total": 20,
        "loss": 0.25,
        "eta_s": None,
        "device_s": 0.0,
        "request_id": None,
        "error_code": None,
        "error_message": None,
        "interruption": None,
        "started_at": NOON.isoformat(),
        "finished_at": NOON.isoformat(),
    }


def test_an_event_that_recorded_the_status_alone_takes_the_rest_from_the_job(queue):
    job_id = queue.submit()
    event = Event(job_id=job_id, number=1, name="status", data={"status": "running"})
    job = queue.job(job_id)
    assert jobs.JobState.at(event, job) == replace(jobs.JobState.of(job), status="running")


def test_a_loss_curve_is_assembled_and_repeated_steps_replace_the_first(queue):
    job_id = queue.submit("train")
    (first,) = queue.claim()
    queue.write(jobs.add_metrics, first, [1, 2], [0.5, float("nan")], [0.1, 0.2])
    queue.write(jobs.add_metrics, first, [3, 4], [0.3, 0.2], [0.3, None])
    queue.write(jobs.release, first)
    (second,) = queue.claim()
    queue.write(jobs.add_metrics, second, [3, 4, 5], [0.31, 0.21, 0.1], [0.3, 0.4, float("inf")])
    with queue.database.reading() as session:
        curve = jobs.training_metrics(session, job_id)
    assert curve == jobs.TrainingMetrics([1, 2, 3, 4, 5], [0.5, None, 0.31, 0.21, 0.1], [0.1, 0.2, 0.3, 0.4, None])


def test_steps_repeated_within_one_attempt_replace_the_first(queue):
    job_id = queue.submit("train")
    (claim,) = queue.claim()
    queue.write(jobs.add_metrics, claim, [1, 2], [0.5, 0.4], [0.1, 0.2])
    queue.write(jobs.add_metrics, claim, [1, 2, 3], [0.51, 0.41, 0.31], [0.1, 0.2, 0.3])
    with queue.database.reading() as session:
        assert jobs.training_metrics(session, job_id).loss == [0.51, 0.41, 0.31]


def test_an_image_rendered_again_replaces_the_first(queue):
    job_id = queue.submit()
    (claim,) = queue.claim()
    for position, content in ((1, "b"), (0, "a"), (1, "c")):
        queue.write(jobs.add_image, claim, image(position, content, seed=2**53 - 17, share=0.5))
    with queue.database.reading() as session:
        images = jobs.get(session, "own_local", job_id).images
    assert [(made.position, made.sha256) for made in images] == [
        (n, image(n, c).sha256) for n, c in ((0, "a"), (1, "c"))
    ]
    assert (images[0].seed, images[0].share) == (2**53 - 17, 0.5)


def test_a_preview_is_an_event(queue):
    job_id = queue.submit("train")
    (claim,) = queue.claim()
    preview = jobs.NewImage(**{**vars(image(100, "p")), "role": "preview"})
    made = queue.write(jobs.add_image, claim, preview)
    with queue.database.reading() as session:
        assert jobs.events_after(session, job_id, 2)[0].data == {"image": made.id}
