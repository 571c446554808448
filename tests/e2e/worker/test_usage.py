"""What a worker's device was taken for is written down for whose jobs they were."""

import pytest

from service.accounts import usage
from service.database.tables import LOCAL_OWNER_ID
from tests.support.worker_driver import now


def test_the_seconds_that_owners_are_charged_for_are_those_that_the_engines_took(client, worker, service):
    client.train("my-dog", steps=8)
    client.generate(steps=3)
    worker.work()
    paces = worker.model_cache.paces
    taken_s = paces.training.seconds + paces.rendering.seconds
    with service.database.reading() as session:
        assert usage.device_s_today(session, LOCAL_OWNER_ID, now()) == pytest.approx(taken_s)
    client.generate(steps=3)
    worker.work()
    with service.database.reading() as session:
        assert usage.device_s_today(session, LOCAL_OWNER_ID, now()) > taken_s
