"""Webhook deliveries: payloads, retries, signatures, disabling, redelivery."""

import json
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from standardwebhooks.webhooks import Webhook as Verifier

from service import jobs
from service.database.engine import Database
from service.database.tables import LOCAL_OWNER_ID, Delivery, Webhook
from service.errors import InvalidInputError, NotFoundError, TooManyWebhooksError
from service.settings import Limits, Settings
from service.webhooks import deliveries, endpoints, sending
from service.webhooks.deliveries import DISABLE_AFTER, DISABLE_AFTER_FAILURES, LEASE, MAX_ATTEMPTS, RETENTION, Outcome
from service.webhooks.endpoints import WebhookChange, WebhookParams
from tests.support.queue_driver import NOON, moment

SETTINGS = Settings(webhook_private_networks="on", limits=Limits(webhooks=3))
DELIVERED, FAILED = Outcome(status=204), Outcome(status=500)


class WebhookDriver:
    """The webhooks and the deliveries of a test's owner, at given times."""

    def __init__(self, queue):
        self.queue = queue
        self.database = queue.database

    def write(self, rule, *arguments, **keywords):
        return self.queue.write(rule, *arguments, **keywords)

    def create(self, url="https://example.com/hook", *, owner=LOCAL_OWNER_ID, **fields):
        with self.database.writing() as session:
            return endpoints.create(SETTINGS, session, owner, WebhookParams(url=url, **fields))

    def change(self, webhook, **fields):
        with self.database.writing() as session:
            return endpoints.update(SETTINGS, session, LOCAL_OWNER_ID, webhook.id, WebhookChange(**fields))

    def job(self, *, fail=False, **rest):
        """A job that has ended."""
        job_id = self.queue.submit(**rest)
        (claim,) = self.queue.claim()
        if fail:
            self.queue.write(jobs.fail, claim, "broken", "It broke.")
        else:
            self.queue.write(jobs.succeed, claim)
        return job_id

    def claim(self, at=NOON, limit=100):
        return self.write(deliveries.claim, limit, at=at)

    def waiting(self, at=NOON):
        return self.queue.read(deliveries.any_due, at=at)

    def record(self, delivery, outcome, at=NOON):
        self.write(deliveries.record, delivery, outcome, at=at)

    def fail_until_given_up(self, now=NOON):
        """Claim and fail due deliveries as time goes by; returns the times of the attempts."""
        tried = []
        while (due := self.due()) is not None:
            now = max(now, due)
            for delivery in self.claim(now):
                self.record(delivery, FAILED, now)
                tried.append(now)
        return tried

    def due(self):
        pending = select(Delivery.due_at).join(Webhook).where(Delivery.status == "pending", Webhook.enabled)
        with self.database.reading() as session:
            return min(session.scalars(pending), default=None)

    def rows(self):
        with self.database.reading() as session:
            return session.scalars(select(Delivery).order_by(Delivery.id)).all()

    def webhook(self, webhook):
        with self.database.reading() as session:
            return endpoints.get(session, LOCAL_OWNER_ID, webhook.id)


@pytest.fixture
def driver(queue):
    return WebhookDriver(queue)


def messages(driver):
    return [(row.type, row.url) for row in driver.rows()]


# --- payloads and subscriptions


def test_the_payload_is_the_end_of_a_job_and_little_more(driver):
    driver.create()
    job_id = driver.job()
    (row,) = driver.rows()
    assert json.loads(row.body) == {
        "type": "job.succeeded",
        "timestamp": "2026-01-01T12:00:00Z",
        "data": {
            "job": job_id,
            "kind": "generate",
            "status": "succeeded",
            "request_id": None,
            "links": {
                "self": f"/v1/jobs/{job_id}",
                "events": f"/v1/jobs/{job_id}/events",
                "cancel": f"/v1/jobs/{job_id}/cancel",
            },
        },
    }
    assert (row.job_id, row.status) == (job_id, "pending")


def test_every_subscribed_event_is_delivered_once(driver, queue):
    driver.create("https://example.com/a", events=["job.running", "job.cancelled"])
    driver.create("https://example.com/b", events=["job.failed"])
    driver.job(fail=True)
    job_id = queue.submit()
    (claim,) = queue.claim()
    queue.write(jobs.request_cancel, job_id)
    queue.write(jobs.confirm_cancel, claim)
    assert messages(driver) == [
        ("job.running", "https://example.com/a"),
        ("job.failed", "https://example.com/b"),
        ("job.running", "https://example.com/a"),
        ("job.cancelled", "https://example.com/a"),
    ]


def test_a_rolled_back_event_is_never_delivered(driver, queue):
    driver.create()
    queue.submit()
    (claim,) = queue.claim()

    def succeed_and_break(session):
        jobs.succeed(session, claim)
        session.flush()
        raise KeyError

    with pytest.raises(KeyError):
        driver.write(succeed_and_break)
    assert driver.rows() == []


def test_rpcs_and_jobs_of_other_owners_are_not_delivered(driver, queue):
    driver.create()
    driver.job(owner=queue.owner("own_other"))
    queue.submit("rpc")
    with driver.database.writing() as session:
        claims = jobs.claim(
            session,
            worker_id="ada",
            models=["tiny"],
            slots={"pictures": 0, "trainings": 0, "rpcs": 1},
            lease_s=15,
        )
    queue.write(jobs.fail, claims[0], "broken", "It broke.")
    assert messages(driver) == []


def test_a_request_can_name_its_own_webhook_url(driver, queue):
    driver.create("https://example.com/standing")
    driver.job(webhook=WebhookParams(url="https://example.com/own", events=["job.succeeded"]))
    driver.job(webhook=WebhookParams(url="https://example.com/other", events=["job.failed"]))
    other = queue.owner("own_other")
    driver.job(owner=other, webhook=WebhookParams(url="https://example.com/theirs", events=["job.succeeded"]))
    assert sorted(messages(driver)) == [
        ("job.succeeded", "https://example.com/own"),
        ("job.succeeded", "https://example.com/standing"),
        ("job.succeeded", "https://example.com/standing"),
        ("job.succeeded", "https://example.com/theirs"),
    ]
    claimed = {delivery.url: delivery.secrets for delivery in driver.claim()}
    with driver.database.reading() as session:
        mine = endpoints.get_default(session, LOCAL_OWNER_ID)
        theirs = endpoints.get_default(session, other)
    assert claimed["https://example.com/own"] == (mine.secret,)
    assert claimed["https://example.com/theirs"] == (theirs.secret,)


def test_a_webhook_url_is_checked_when_it_is_set():
    strict = Settings()
    endpoints.check(strict, None)
    params = WebhookParams(url="https://example.com")
    endpoints.check(strict, params)
    assert params.to_json() == {
        "url": "https://example.com",
        "events": ["job.succeeded", "job.failed", "job.cancelled"],
    }
    with pytest.raises(InvalidInputError):
        endpoints.check(strict, WebhookParams(url="http://example.com"))


def test_the_number_of_webhooks_per_owner_is_limited(driver, queue):
    for _ in range(3):
        driver.create()
    with pytest.raises(TooManyWebhooksError):
        driver.create()
    driver.write(endpoints.ensure_default, LOCAL_OWNER_ID)
    driver.create(owner=queue.owner("own_other"))


def test_webhooks_of_another_owner_are_not_found(driver, queue):
    webhook = driver.create()
    driver.job()
    (row,) = driver.rows()
    other = queue.owner("own_other")
    for function, arguments in (
        (endpoints.get, ()),
        (endpoints.delete, ()),
        (endpoints.rotate, ()),
        (endpoints.send_test, ()),
        (deliveries.page, (None, 10)),
        (deliveries.get, (row.id,)),
        (deliveries.redeliver, (row.id,)),
    ):
        with pytest.raises(NotFoundError):
            driver.write(function, other, webhook.id, *arguments)
    with pytest.raises(NotFoundError), driver.database.writing() as session:
        endpoints.update(SETTINGS, session, other, webhook.id, WebhookChange(enabled=False))
    with driver.database.reading() as session:
        assert endpoints.page(session, other, None, 10).items == []
        assert deliveries.page(session, other, endpoints.DEFAULT, None, 10).items == []
        with pytest.raises(NotFoundError):
            deliveries.get(session, other, endpoints.DEFAULT, row.id)


# --- how it gets there


def test_failed_deliveries_are_retried_until_one_succeeds(driver, receiver):
    webhook = driver.create(receiver.url())
    job_id = driver.job()
    receiver.answers = [500, 503, 302, 404, 500, 200]
    now = NOON
    for attempt in range(1, 7):
        now = driver.due()
        (delivery,) = driver.claim(now)
        assert delivery.attempt == attempt
        driver.record(delivery, sending.post(delivery, "on", datetime.now(UTC)), now)
    assert driver.due() is None
    (row,) = driver.rows()
    assert (row.status, row.attempts, row.response_status, row.response) == ("delivered", 6, 200, "thanks")
    assert len(receiver.got) == 6
    assert len({headers["webhook-id"] for _, headers, _ in receiver.got}) == 1
    assert len({body for *_, body in receiver.got}) == 1
    for _, headers, body in receiver.got:
        assert Verifier(webhook.secret).verify(body, headers)["data"]["job"] == job_id


def test_retries_back_off_over_a_day_and_then_end(driver):
    driver.create()
    driver.create("https://example.com/other")
    driver.job()
    tried = driver.fail_until_given_up()
    assert len(tried) == 2 * MAX_ATTEMPTS
    assert timedelta(hours=17) < tried[-1] - NOON < timedelta(hours=27)
    assert {row.status for row in driver.rows()} == {"failed"}
    assert len({deliveries.retry_delay_s(3) for _ in range(5)}) > 1
    assert all(deliveries.retry_delay_s(n + 1) > deliveries.retry_delay_s(n) for n in range(1, MAX_ATTEMPTS))


def test_a_claimed_delivery_is_leased_for_a_minute(driver):
    driver.create()
    driver.job()
    (lost,) = driver.claim()
    assert driver.claim(NOON + LEASE - timedelta(seconds=1)) == []
    (again,) = driver.claim(NOON + LEASE)
    driver.record(lost, FAILED, NOON + LEASE)
    assert driver.rows()[0].attempted_at is None
    driver.record(again, DELIVERED, NOON + LEASE)
    driver.record(lost, FAILED, NOON + LEASE)
    assert driver.rows()[0].status == "delivered"
    assert driver.claim(NOON + 10 * LEASE) == []


def test_concurrent_senders_claim_each_delivery_once(driver, database_url):
    driver.create()
    wanted = [driver.job() for _ in range(30)]
    taken, start = [], threading.Barrier(4)

    def deliver():
        database = Database(database_url)
        start.wait()
        idle = 0
        while idle < 3:
            with database.writing() as session:
                claimed = deliveries.claim(session, 3)
            idle = 0 if claimed else idle + 1
            for delivery in claimed:
                taken.append(json.loads(delivery.body)["data"]["job"])
                with database.writing() as session:
                    deliveries.record(session, delivery, DELIVERED)
        database.close()

    threads = [threading.Thread(target=deliver) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(taken) == Counter(wanted)
    assert {row.attempts for row in driver.rows()} == {1}


def test_a_webhook_with_many_deliveries_does_not_delay_others(driver):
    busy = driver.create("https://example.com/busy", events=["job.succeeded"])
    for _ in range(5):
        driver.job()
    driver.create("https://example.com/rare", events=["job.failed"])
    driver.job(fail=True)
    claimed = driver.claim(limit=2)
    assert {delivery.url for delivery in claimed} == {"https://example.com/busy", "https://example.com/rare"}
    assert [delivery.webhook_id for delivery in driver.claim()] == [busy.id] * 4


def test_for_a_day_after_a_rotation_deliveries_are_signed_with_both_secrets(driver, receiver):
    first = driver.create(receiver.url())
    second = driver.write(endpoints.rotate, LOCAL_OWNER_ID, first.id)
    assert first.secret != second.secret
    driver.job()
    driver.job()
    one, another = driver.claim(NOON, 1)[0], driver.claim(NOON + timedelta(hours=24), 1)[0]
    sending.post(one, "on", datetime.now(UTC))
    sending.post(another, "on", datetime.now(UTC))
    (_, both, body), (_, new, later) = receiver.got
    for secret in (first.secret, second.secret):
        assert Verifier(secret).verify(body, both)
    assert Verifier(second.secret).verify(later, new)
    with pytest.raises(Exception, match="No matching signature"):
        Verifier(first.secret).verify(later, new)


# --- failing receivers


@pytest.mark.parametrize("jitter", [min, max])
def test_a_webhook_that_keeps_failing_is_disabled_with_a_reason(driver, monkeypatch, jitter):
    monkeypatch.setattr("random.uniform", jitter)
    webhook = driver.create()
    driver.job()
    tried = driver.fail_until_given_up()
    disabled = driver.webhook(webhook)
    assert not disabled.enabled
    assert disabled.disabled_reason.startswith(
        f"{disabled.failures} attempts in a row failed since 2026-01-01 12:00 UTC"
    )
    assert disabled.failures >= DISABLE_AFTER_FAILURES
    assert tried[-1] - NOON >= DISABLE_AFTER
    driver.job()
    assert len(driver.rows()) == 1


def test_one_success_resets_the_failures(driver):
    webhook = driver.create()
    for _ in range(3):
        driver.job()
    *failing, good = driver.claim()
    for delivery in failing:
        driver.record(delivery, FAILED)
    assert driver.webhook(webhook).failing_since == NOON
    driver.record(good, DELIVERED)
    assert (driver.webhook(webhook).failures, driver.webhook(webhook).failing_since) == (0, None)


def test_a_webhook_that_responds_410_is_disabled_at_once(driver):
    webhook = driver.create()
    driver.job()
    (delivery,) = driver.claim()
    driver.record(delivery, Outcome(status=410))
    assert driver.rows()[0].status == "failed"
    assert "410" in driver.webhook(webhook).disabled_reason


def test_pending_deliveries_continue_when_a_webhook_is_enabled_again(driver):
    webhook = driver.create()
    driver.job()
    driver.change(webhook, enabled=False)
    assert driver.claim() == []
    assert not driver.waiting()
    enabled = driver.change(webhook, enabled=True, url="https://example.com/new")
    assert (enabled.disabled_reason, enabled.failures) == (None, 0)
    assert driver.waiting()
    assert [delivery.url for delivery in driver.claim()] == ["https://example.com/new"]


def test_urls_of_requests_are_disabled_separately(driver):
    for _ in range(3):
        driver.job(webhook=WebhookParams(url="https://example.com/own", events=["job.succeeded"]))
    driver.fail_until_given_up()
    with driver.database.reading() as session:
        assert endpoints.get_default(session, LOCAL_OWNER_ID).enabled
    assert {row.status for row in driver.rows()} == {"failed"}


def test_a_delivery_can_be_requested_again_with_its_own_retries(driver):
    webhook = driver.create()
    driver.job()
    driver.fail_until_given_up()
    driver.change(webhook, enabled=True)
    (row,) = driver.rows()
    later = moment(100_000)
    driver.write(deliveries.redeliver, LOCAL_OWNER_ID, webhook.id, row.id, at=later)
    (delivery,) = driver.claim(later)
    assert delivery.id == row.id
    driver.record(delivery, FAILED, later)
    (row,) = driver.rows()
    assert (row.status, row.attempts) == ("pending", MAX_ATTEMPTS + 1)
    assert row.due_at - later < timedelta(seconds=10)


def test_deleting_a_webhook_deletes_its_deliveries_also_a_claimed_one(driver):
    webhook = driver.create()
    driver.job()
    (delivery,) = driver.claim()
    driver.write(endpoints.delete, LOCAL_OWNER_ID, webhook.id)
    driver.record(delivery, DELIVERED)
    assert driver.rows() == []


def test_old_deliveries_are_deleted(driver):
    driver.create()
    driver.job()
    driver.write(deliveries.delete_expired, at=NOON + RETENTION)
    assert len(driver.rows()) == 1
    driver.write(deliveries.delete_expired, at=NOON + RETENTION + timedelta(seconds=1))
    assert driver.rows() == []
