"""Lost workers: lease, fencing, lost attempts, isolation."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from service import jobs, workers
from service.database.tables import LOCAL_OWNER_ID, Concept, Event, Image
from service.errors import (
    ConceptDeletedError,
    JobEndedError,
    JobNotFailedError,
    LeaseLostError,
    NotFoundError,
)
from service.jobs.claiming import ISOLATION_WAIT_S
from service.kinds.warnings import JobWarning
from tests.support.queue_driver import LEASE_S, moment

IMAGE = jobs.NewImage(
    role="image", position=0, key="k", sha256="s", content_type="image/png", width=64, height=64, bytes=10, seed=7
)
MADE = jobs.StoredEmbedding(sha256="s", key="k", encoders={"text_encoder": {"vectors": 1}}, bytes=9, steps=400)

WRITES = {
    "progress": lambda session, claim: jobs.progress(session, claim, step=1, total=2, loss=0.1, eta_s=1),
    "metrics": lambda session, claim: jobs.add_metrics(session, claim, [1], [0.1], [0.0]),
    "save_checkpoint": lambda session, claim: jobs.save_checkpoint(session, claim, key="k", step=1),
    "add_image": lambda session, claim: jobs.add_image(session, claim, IMAGE),
    "succeed": jobs.succeed,
    "fail": lambda session, claim: jobs.fail(session, claim, "code", "message"),
    "cancelled": jobs.confirm_cancel,
    "release": jobs.release,
    "finish_training": lambda session, claim: jobs.finish_training(session, claim, MADE),
}


ATTEMPT_S = 200.0
"""Between two attempts: longer than a lease and any delay."""


def lose(queue, claims, *, checkpoint_step=None, after_s=0.0):
    """Let the leases of claims made at that time run out, after a checkpoint or without one."""
    for claim in claims:
        if checkpoint_step is not None:
            queue.write(jobs.save_checkpoint, claim, key=f"c{checkpoint_step}", step=checkpoint_step)
    return queue.expire(after_s=after_s + LEASE_S + 1)


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("taken_over", [True, False])
def test_a_worker_that_lost_its_lease_writes_nothing_more(queue, write, taken_over):
    job_id = queue.submit("train")
    (stale,) = queue.claim()
    lose(queue, [stale])
    if taken_over:
        queue.claim("bob")
    before = queue.events(job_id)
    with pytest.raises(LeaseLostError):
        queue.write(WRITES[write], stale)
    assert queue.events(job_id) == before
    assert queue.job(job_id).status == ("running" if taken_over else "queued")


@pytest.mark.parametrize("write", WRITES)
def test_nothing_is_written_for_a_job_that_has_ended(queue, write):
    job_id = queue.submit("train")
    (claim,) = queue.claim()
    queue.write(jobs.fail, claim, "code", "message")
    with pytest.raises(LeaseLostError):
        queue.write(WRITES[write], claim)
    with queue.database.reading() as session:
        assert session.query(Image).count() == 0
        assert session.query(Event).filter_by(job_id=job_id).count() == queue.job(job_id).last_event_number == 4


def test_a_heartbeat_extends_the_lease_and_reports_lost_jobs(queue):
    kept, lost, ended = (queue.submit() for _ in range(3))
    claims = {claim.job_id: claim for claim in queue.claim()}
    queue.write(jobs.succeed, claims[ended])
    queue.write(jobs.release, claims[lost])
    assert queue.beat(claims.values(), after_s=10) == {lost, ended}
    queue.expire(after_s=20)
    assert queue.job(kept).status == "running"
    queue.expire(after_s=10 + LEASE_S + 1)
    assert queue.job(kept).status == "queued"


def test_a_heartbeat_of_another_worker_extends_no_lease(queue):
    job_id = queue.submit()
    claims = queue.claim("ada")
    assert queue.beat(claims, "bob", after_s=10) == {job_id}
    queue.expire()
    assert queue.job(job_id).status == "queued"


def test_a_heartbeat_for_an_earlier_attempt_extends_no_lease(queue):
    job_id = queue.submit()
    stale = queue.claim()
    queue.expire()
    queue.claim()
    assert queue.beat(stale, after_s=10) == {job_id}
    queue.expire()
    assert queue.job(job_id).status == "queued"


def test_a_lost_job_returns_to_its_old_position_and_its_model_is_notified(queue):
    lost = queue.submit()
    queue.claim()
    later = queue.submit()
    assert queue.expire() == {"tiny"}
    with queue.database.reading() as session:
        expected = jobs.estimate(session, [queue.job(later), queue.job(lost)])
    assert [expected[job_id].position for job_id in (lost, later)] == [0, 1]


def test_a_job_fails_when_all_attempts_were_lost_without_a_checkpoint(queue):
    job_id = queue.submit("train")
    for attempt in range(3):
        assert queue.job(job_id).status == "queued"
        lose(queue, queue.claim(after_s=attempt * ATTEMPT_S), after_s=attempt * ATTEMPT_S)
    job = queue.job(job_id)
    assert (job.status, job.error_code, job.attempt) == ("failed", "worker_lost", 3)
    assert "/retry" in job.error_message
    assert queue.expire(after_s=3 * ATTEMPT_S) == set()


def test_a_job_backs_off_from_its_second_lost_attempt(queue):
    queue.submit()
    lose(queue, queue.claim())
    second = queue.claim(after_s=LEASE_S + 1)
    lose(queue, second, after_s=100)
    lost_at = 100 + LEASE_S + 1
    assert not has_claimable(queue, after_s=lost_at + 1.9)
    assert queue.claim(after_s=lost_at + 1.9) == []
    assert has_claimable(queue, after_s=lost_at + 2)
    assert [claim.attempt for claim in queue.claim(after_s=lost_at + 2)] == [3]


def has_claimable(queue, *, after_s):
    return queue.read(jobs.has_claimable, models=["tiny"], slots={"pictures": 1}, at=moment(after_s))


def test_another_finished_picture_is_progress_and_the_same_one_again_is_not(queue):
    job_id = queue.submit(slots=2)
    for attempt, (position, lost_attempts) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        (claim,) = queue.claim(after_s=attempt * ATTEMPT_S)
        queue.write(jobs.add_image, claim, replace(IMAGE, position=position))
        queue.expire(after_s=attempt * ATTEMPT_S + LEASE_S + 1)
        assert queue.job(job_id).lost_attempts == lost_attempts


def test_the_reasons_of_an_interruption_are_told_apart(queue):
    job_id = queue.submit()
    (claim,) = queue.claim()
    queue.write(jobs.release, claim)
    assert queue.job(job_id).interruption == "interrupted"
    queue.claim()
    queue.expire()
    assert queue.job(job_id).interruption == "worker_lost"
    (claim,) = queue.claim(after_s=100)
    queue.write(jobs.lose, claim, jobs.Loss(code="step_timeout", max_attempts=2), at=moment(100))
    job = queue.job(job_id)
    assert (job.status, job.error_code, job.lost_attempts) == ("failed", "step_timeout", 2)
    assert "DTI_STEP_LIMIT_S" in job.error_message


def test_a_worker_with_a_recent_heartbeat_is_believed_although_a_lease_was_not_extended(queue):
    job_id = queue.submit()
    queue.claim("ada")
    present = workers.Presence(worker_id="ada", device="cpu", models=["tiny"])
    queue.write(workers.heartbeat, present, at=moment(LEASE_S))
    assert queue.expire(after_s=LEASE_S + 1) == set()
    assert queue.job(job_id).status == "running"
    queue.write(workers.heartbeat, replace(present, worker_id="bob"), at=moment(3 * LEASE_S))
    queue.expire(after_s=3 * LEASE_S)
    assert queue.job(job_id).status == "queued"


def test_a_worker_returns_all_jobs_that_it_no_longer_runs(queue):
    own, other = queue.submit(), queue.submit("train")
    queue.claim("ada", trainings=0)
    queue.claim("bob")
    assert queue.read(jobs.claimed_by, "ada") == [own]
    queue.write(jobs.release_all, "ada")
    assert [(queue.job(job_id).status, queue.job(job_id).lost_attempts) for job_id in (own, other)] == [
        ("queued", 0),
        ("running", 0),
    ]


def test_an_idle_worker_takes_a_job_with_lost_attempts_alone_and_first(queue):
    """Of a training with lost attempts and fresh jobs, also of other classes, only the former is claimed."""
    suspect = queue.submit("train")
    queue.claim("dead")
    queue.expire()
    queue.submit()
    queue.submit("train")
    queue.submit("rpc")
    claims = queue.claim("bob", after_s=100)
    assert [(claim.job_id, claim.isolated) for claim in claims] == [(suspect, True)]
    assert queue.claim("bob", after_s=100) == []
    assert all(not claim.isolated for claim in queue.claim("ada", after_s=100))


def test_attempts_that_reached_a_new_checkpoint_are_not_counted(queue):
    job_id = queue.submit("train")
    for attempt in range(1, 8):
        (claim,) = queue.claim(after_s=attempt * ATTEMPT_S)
        assert (claim.attempt, claim.checkpoint_step, claim.isolated) == (attempt, (attempt - 1) * 50, False)
        lose(queue, [claim], checkpoint_step=attempt * 50, after_s=attempt * ATTEMPT_S)
    assert queue.job(job_id).status == "queued"


def test_saving_the_same_checkpoint_again_is_no_progress(queue):
    job_id = queue.submit("train")
    for attempt in range(4):
        claims = queue.claim(after_s=attempt * ATTEMPT_S)
        lose(queue, claims, checkpoint_step=50, after_s=attempt * ATTEMPT_S)
    assert queue.job(job_id).status == "failed"


def test_saving_a_checkpoint_returns_the_one_it_replaces(queue):
    queue.submit("train")
    (claim,) = queue.claim()
    assert queue.write(jobs.save_checkpoint, claim, key="a", step=50) is None
    assert queue.write(jobs.save_checkpoint, claim, key="a", step=50) is None
    assert queue.write(jobs.save_checkpoint, claim, key="b", step=100) == "a"


def test_a_released_job_has_no_lost_attempt(queue):
    job_id = queue.submit()
    for attempt in range(1, 8):
        (claim,) = queue.claim()
        assert (claim.attempt, claim.isolated) == (attempt, False)
        queue.write(jobs.release, claim)
    assert queue.job(job_id).lost_attempts == 0


def test_a_job_runs_isolated_from_its_second_attempt(queue):
    suspects = [queue.submit() for _ in range(2)]
    queue.claim()
    fresh = queue.submit()
    queue.expire()
    for suspect in suspects:
        (claim,) = queue.claim()
        assert (claim.job_id, claim.isolated) == (suspect, True)
        assert queue.claim() == []
        queue.write(jobs.succeed, claim)
    assert [claim.job_id for claim in queue.claim()] == [fresh]


def test_a_busy_worker_leaves_an_isolated_job_to_others_for_a_limited_time(queue):
    suspect = queue.submit()
    queue.claim("dead")
    queue.submit("train")
    (training,) = queue.claim("ada")
    queue.beat([training], after_s=LEASE_S)
    queue.expire(after_s=LEASE_S + 1)
    fresh = [queue.submit(), queue.submit()]
    assert [claim.job_id for claim in queue.claim("ada", pictures=1, after_s=20)] == fresh[:1]
    assert queue.claim("ada", after_s=LEASE_S + 1 + ISOLATION_WAIT_S + 1) == []
    assert [claim.job_id for claim in queue.claim("bob", after_s=100)] == [suspect]
    assert [claim.job_id for claim in queue.claim("ada", after_s=100)] == fresh[1:]


def test_two_maintenance_processes_do_no_harm(queue):
    submitted = [queue.submit() for _ in range(20)]
    queue.claim()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: queue.expire(), range(4)))
    assert {queue.job(job_id).lost_attempts for job_id in submitted} == {1}
    assert all(queue.events(job_id)[-1] == (3, "status") for job_id in submitted)


def test_cancelling_a_queued_job_ends_it_at_once_and_is_idempotent(queue):
    job_id = queue.submit()
    assert queue.write(jobs.request_cancel, job_id).status == "cancelled"
    events = queue.events(job_id)
    assert queue.write(jobs.request_cancel, job_id).status == "cancelled"
    assert queue.events(job_id) == events == [(1, "status"), (2, "status"), (3, "done")]


def test_cancelling_a_running_job_waits_for_its_worker(queue):
    job_id = queue.submit()
    (claim,) = queue.claim()
    job = queue.write(jobs.request_cancel, job_id)
    assert (job.status, job.cancel_requested) == ("running", True)
    queue.write(jobs.confirm_cancel, claim)
    assert queue.job(job_id).status == "cancelled"


@pytest.mark.parametrize("ending", ["lease", "release"])
def test_a_job_with_a_cancellation_request_does_not_run_again(queue, ending):
    job_id = queue.submit()
    (claim,) = queue.claim()
    queue.write(jobs.request_cancel, job_id)
    if ending == "lease":
        assert queue.expire() == set()
    else:
        queue.write(jobs.release, claim)
    assert queue.job(job_id).status == "cancelled"


@pytest.mark.parametrize("end", [jobs.succeed, partial(jobs.fail, code="c", message="m")])
def test_an_ended_job_cannot_be_cancelled(queue, end):
    job_id = queue.submit()
    (claim,) = queue.claim()
    queue.write(end, claim)
    with pytest.raises(JobEndedError, match=job_id):
        queue.write(jobs.request_cancel, job_id)
    with pytest.raises(NotFoundError):
        queue.write(jobs.request_cancel, "job_nobody")


def test_checkpoints_of_ended_jobs_are_taken_once(queue):
    queue.submit("train")
    queue.submit("train")
    claims = queue.claim()
    for number, claim in enumerate(claims):
        queue.write(jobs.save_checkpoint, claim, key=f"c{number}", step=1)
    queue.write(jobs.succeed, claims[0])
    assert queue.write(jobs.take_old_checkpoints) == ["c0"]
    assert queue.write(jobs.take_old_checkpoints) == []


def test_the_checkpoint_of_a_failed_training_is_kept_for_a_day(queue):
    job_id = queue.submit("train")
    (claim,) = queue.claim()
    queue.write(jobs.save_checkpoint, claim, key="c", step=7)
    queue.write(jobs.fail, claim, "c", "m")
    assert queue.write(jobs.take_old_checkpoints, at=moment(23 * 3600)) == []
    assert queue.write(jobs.take_old_checkpoints, at=moment(25 * 3600)) == ["c"]
    assert queue.job(job_id).checkpoint_step == 0


def test_a_lost_lease_is_an_event_with_its_time(queue):
    job_id = queue.submit()
    queue.claim()
    queue.expire(after_s=100)
    assert queue.job(job_id).queued_at == moment(100)


def failed(queue, kind="generate"):
    """A failed job of a concept that still exists."""
    with queue.database.writing() as session:
        session.merge(concept_row("con_x"))
    job_id = queue.submit(kind)
    (claim,) = queue.claim()
    if kind == "train":
        queue.write(jobs.save_checkpoint, claim, key="c", step=7)
    else:
        queue.write(jobs.add_image, claim, IMAGE)
    queue.write(jobs.fail, claim, "worker_lost", "It was lost.")
    return job_id


def concept_row(concept_id):
    return Concept(
        id=concept_id,
        owner_id=LOCAL_OWNER_ID,
        name="x",
        class_word="dog",
        learnable_property="object",
        model="tiny",
        method="dti",
        training={},
        tags=[],
        search_text="x",
        created_at=moment(0),
        updated_at=moment(0),
    )


def retried(queue, job_id, owner=LOCAL_OWNER_ID):
    with queue.database.writing() as session:
        return jobs.retry(queue._within(1000), session, owner, job_id)


@pytest.mark.parametrize("kind", ["train", "generate"])
def test_a_failed_job_is_retried_from_where_it_was(queue, kind):
    job_id = failed(queue, kind)
    assert retried(queue, job_id).status == "queued"
    job = queue.job(job_id)
    assert (job.error_code, job.finished_at, job.lost_attempts) == (None, None, 0)
    (claim,) = queue.claim()
    assert (claim.checkpoint_step, [picture.position for picture in claim.finished]) == (
        (7, []) if kind == "train" else (0, [0])
    )
    assert not claim.isolated
    queue.write(jobs.succeed, claim)
    assert [name for _, name in queue.events(job_id)].count("done") == 1


def test_a_retried_training_is_its_concepts_newest(queue):
    job_id = failed(queue, "train")
    retried(queue, job_id)
    with queue.database.reading() as session:
        assert session.get(Concept, "con_x").job_id == job_id


def test_only_failed_jobs_of_the_owner_are_retried(queue):
    job_id = failed(queue)
    with pytest.raises(NotFoundError):
        retried(queue, job_id, queue.owner("own_other"))
    assert retried(queue, job_id).id == retried(queue, job_id).id
    queue.write(jobs.request_cancel, job_id)
    with pytest.raises(JobNotFailedError, match="cancelled"):
        retried(queue, job_id)


def test_a_job_of_a_deleted_concept_is_not_retried(queue):
    job_id = failed(queue, "train")
    with queue.database.writing() as session:
        session.delete(session.get(Concept, "con_x"))
    with pytest.raises(ConceptDeletedError):
        retried(queue, job_id)


def test_a_checkpoint_that_cannot_be_used_is_forgotten_and_told(queue):
    job_id = queue.submit("train")
    (claim,) = queue.claim()
    queue.write(jobs.save_checkpoint, claim, key="c", step=7)
    warning = JobWarning(code="checkpoint_unusable", message="It is damaged.")
    assert queue.write(jobs.forget_checkpoint, claim, warning) == "c"
    job = queue.job(job_id)
    assert (job.checkpoint_key, job.checkpoint_step, job.step) == (None, 0, 0)
    assert job.warnings == [warning.to_json()]
