"""Counters of the metrics."""

from service import counters, jobs
from service.database.tables import CounterIncrement


def count(session, times, **labels):
    for _ in range(times):
        counters.increment(
            session, "jobs_ended", **{"model": "tiny", "kind": "generate", "code": "succeeded", **labels}
        )


def read(driver):
    return {(item.name, item.model, item.code): (item.count, item.value) for item in driver.read(counters.read)}


def test_a_counter_is_the_same_before_and_after_its_increments_are_added_up(driver):
    driver.write(count, 3, value=0.5)
    driver.write(count, 2, code="worker_lost")
    expected = {("jobs_ended", "tiny", "succeeded"): (3, 1.5), ("jobs_ended", "tiny", "worker_lost"): (2, 0.0)}
    assert read(driver) == expected
    assert driver.write(counters.fold) == 5
    assert driver.write(counters.fold) == 0
    assert read(driver) == expected
    driver.write(count, 1, value=1.0)
    assert driver.write(counters.fold) == 1
    assert read(driver)["jobs_ended", "tiny", "succeeded"] == (4, 2.5)
    with driver.database.reading() as session:
        assert session.query(CounterIncrement).count() == 0


def test_every_claim_and_every_end_of_a_job_is_counted_once_with_its_code(driver):
    driver.submit()
    driver.submit()
    lost, failed = driver.claim()
    driver.write(jobs.fail, failed, "model_unavailable", "It cannot be loaded.")
    for attempt in range(1, 8):
        driver.expire(after_s=attempt * 100)
        driver.claim(after_s=attempt * 100 + 1)
    found = {(item.name, item.code): item.count for item in driver.read(counters.read)}
    assert found["jobs_ended", "model_unavailable"] == 1
    assert found["jobs_ended", "worker_lost"] == 1
    assert sum(number for (name, _), number in found.items() if name == "claims") == driver.job(lost.job_id).attempt + 1
