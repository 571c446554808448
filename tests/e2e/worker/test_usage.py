"""Device time is charged to the owners of the jobs."""

import pytest

from service.accounts import usage
from service.database.tables import LOCAL_OWNER_ID


def test_owners_are_charged_the_seconds_that_the_engines_measured(client, worker, service):
    client.train("my-dog", steps=8)
    client.generate(steps=3)
    worker.work()
    throughputs = worker.model_cache.throughputs
    measured_s = throughputs.training.seconds + throughputs.rendering.seconds
    with service.database.reading() as session:
        assert usage.device_s_today(session, LOCAL_OWNER_ID) == pytest.approx(measured_s)
    client.generate(steps=3)
    worker.work()
    with service.database.reading() as session:
        assert usage.device_s_today(session, LOCAL_OWNER_ID) > measured_s
