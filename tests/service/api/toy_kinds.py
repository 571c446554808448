"""A toy's way from a client's call to its end; collected where tests/service/test_toy_kinds.py asks for it."""

import dti_client
import pytest

from tests.support.worker_driver import WorkerDriver


@pytest.mark.parametrize("kind", ["toy", "own_toy"])
def test_a_toy_is_submitted_claimed_counted_and_listed(running, settings, service, kind):
    with dti_client.Client(f"http://{settings.host}:{settings.port}") as client:
        create = {"toy": client.create_toy, "own_toy": client.create_own_toy}[kind]
        job, later = create("hello"), create("again")
        assert (job.kind, job.status, job.input) == (kind, "queued", {"text": "hello"})
        assert client.read_job(later.id).progress.queue_position == 1
        WorkerDriver(service).work()
        assert [client.read_job(toy.id).status for toy in (job, later)] == ["succeeded", "succeeded"]
        assert {listed.id for listed in client.list_jobs(kind=kind).items} == {job.id, later.id}
        assert client.read_usage().jobs == 2
        ended = f'dti_jobs_ended_total{{code="succeeded",kind="{kind}",model="{job.model}"}} 2.0'
        assert ended in client.read_service_metrics()
