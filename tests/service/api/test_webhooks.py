"""Webhooks over HTTP: endpoints, secrets, deliveries, and webhooks of every kind of job."""

import time

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from worker.webhook_sender import CONCURRENCY, WebhookSender

URL = "https://example.com/hook?token=hush"
KEY = {"Idempotency-Key": "a-key"}


@pytest.fixture
def create(client):
    def post(url=URL, *, headers=None, **fields):
        return client.post("/v1/webhooks", json={"url": url, **fields}, headers=headers)

    return post


@pytest.fixture
def webhook_sender(service):
    opened = WebhookSender(service)
    yield opened
    opened.close()


@pytest.fixture
def deliver(webhook_sender):
    """Delivers what is due and waits until it has arrived."""

    def deliver_due():
        taken = webhook_sender.deliver()
        while any(not sending.done() for sending in webhook_sender._in_flight):
            time.sleep(0.01)
        return taken

    return deliver_due


def test_a_webhook_is_created_read_updated_and_deleted(client, create):
    response = create(events=["job.failed"])
    assert (response.status_code, response.headers["Cache-Control"]) == (201, "no-store")
    created = response.json()["webhook"]
    assert (created["url"], created["events"], created["enabled"], created["disabled_reason"]) == (
        URL,
        ["job.failed"],
        True,
        None,
    )
    path = f"/v1/webhooks/{created['id']}"
    assert client.get(path).json() == created
    assert client.get("/v1/webhooks").json() == {"items": [created], "next": None}
    changed = client.patch(path, json={"enabled": False, "events": ["job.running"], "url": None}).json()
    assert (changed["url"], changed["events"], changed["enabled"]) == (URL, ["job.running"], False)
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404
    assert client.get("/v1/webhooks").json()["items"] == []


def test_webhooks_are_listed_in_pages(client, create):
    created = [create().json()["webhook"]["id"] for _ in range(3)]
    first = client.get("/v1/webhooks", params={"limit": 2}).json()
    second = client.get("/v1/webhooks", params={"limit": 2, "cursor": first["next"]}).json()
    assert [item["id"] for item in first["items"] + second["items"]] == created[::-1]


def test_a_secret_is_shown_at_creation_only(client, create):
    created = create(headers=KEY).json()
    assert created["secret"].startswith("whsec_")
    path = f"/v1/webhooks/{created['webhook']['id']}"
    client.post(f"{path}/test")
    for readable in ("/v1/webhooks", path, f"{path}/deliveries"):
        assert "whsec" not in client.get(readable).text
    # A repeated request returns the secret again, for as long as its key is stored.
    assert create(headers=KEY).json() == created


def test_a_rotation_is_idempotent_under_a_key(client, create):
    created = create().json()
    path = f"/v1/webhooks/{created['webhook']['id']}/rotate"
    rotated = client.post(path, headers=KEY)
    assert rotated.status_code == 200
    assert rotated.json()["secret"] != created["secret"]
    assert rotated.json()["old_secret_until"] is not None
    assert client.post(path, headers=KEY).json() == rotated.json()
    assert client.post(path).json()["secret"] != rotated.json()["secret"]


def test_the_secret_of_urls_in_requests_can_be_read_and_rotated(client):
    first = client.get("/v1/webhooks/default/secret")
    assert first.headers["Cache-Control"] == "no-store"
    assert client.get("/v1/webhooks/default/secret").json() == first.json()
    rotated = client.post("/v1/webhooks/default/rotate").json()
    assert rotated["secret"] != first.json()["secret"]
    assert client.get("/v1/webhooks/default/secret").json() == rotated
    for response in (
        client.get("/v1/webhooks/default"),
        client.patch("/v1/webhooks/default", json={"url": URL}),
        client.delete("/v1/webhooks/default"),
        client.post("/v1/webhooks/default/test"),
    ):
        assert response.status_code == 404
    assert client.get("/v1/webhooks").json()["items"] == []


@pytest.mark.parametrize("more_settings", [{"DTI_WEBHOOK_PRIVATE_NETWORKS": "on"}])
def test_a_delivery_is_signed_and_can_be_requested_again(client, create, receiver, deliver):
    created = create(receiver.url()).json()
    path = f"/v1/webhooks/{created['webhook']['id']}"
    tested = client.post(f"{path}/test")
    assert (tested.status_code, tested.json()["type"], tested.json()["status"]) == (202, "webhook.test", "pending")
    assert deliver() == 1
    (done,) = client.get(f"{path}/deliveries").json()["items"]
    assert (done["status"], done["response_status"], done["response"]) == ("delivered", 200, "thanks")
    ((_, headers, body),) = receiver.got
    assert Verifier(created["secret"]).verify(body, headers)["data"] == {"webhook": created["webhook"]["id"]}
    redelivered = client.post(f"{path}/deliveries/{done['id']}/redeliver")
    assert (redelivered.status_code, redelivered.json()["status"]) == (202, "pending")
    assert (deliver(), deliver()) == (1, 0)
    assert receiver.got[1][1]["webhook-id"] == done["id"] == headers["webhook-id"]


@pytest.mark.parametrize("more_settings", [{"DTI_WEBHOOK_PRIVATE_NETWORKS": "on"}])
def test_every_kind_of_job_can_name_a_webhook(client, post_concept, worker, receiver, deliver):
    hook = {"url": receiver.url()}
    jobs = [post_concept(webhook=hook).json()["job"]]
    worker.work()
    fields = {"webhook": hook}
    jobs.append(client.post("/v1/concepts/my-dog/train", json=fields).json()["job"])
    jobs.append(client.post("/v1/generations", json={"prompt": "a <my-dog>", **fields}).json())
    jobs.append(client.post("/v1/interpolations", json={"from": "my-dog", "to": "my-dog", **fields}).json())
    assert all("webhook" not in job["input"] for job in jobs)
    worker.work()
    assert deliver() == 4
    secret = client.get("/v1/webhooks/default/secret").json()["secret"]
    payloads = [Verifier(secret).verify(body, headers)["data"] for _, headers, body in receiver.got]
    assert sorted(item["job"] for item in payloads) == sorted(job["id"] for job in jobs)
    assert client.get(payloads[0]["links"]["self"]).json()["status"] == payloads[0]["status"] == "succeeded"
    log = client.get("/v1/webhooks/default/deliveries").json()["items"]
    assert {item["job"] for item in log} == {job["id"] for job in jobs}
    redelivered = client.post(f"/v1/webhooks/default/deliveries/{log[0]['id']}/redeliver", json={})
    assert redelivered.status_code == 202


def test_a_private_url_is_refused_everywhere(client, create, post_concept):
    created = create().json()["webhook"]["id"]
    for url in ("http://example.com", "https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://a/", ""):
        hook = {"url": url}
        for response in (
            create(url),
            client.patch(f"/v1/webhooks/{created}", json=hook),
            client.post("/v1/generations", json={"prompt": "a dog", "webhook": hook}),
            post_concept(webhook=hook),
        ):
            assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "webhook.url"), url
    assert client.get("/v1/jobs").json()["items"] == client.get("/v1/concepts").json()["items"] == []


def test_an_invalid_webhook_is_refused(client, post_concept):
    for wrong in ({"url": None}, {"url": 5}, {"events": []}, {"events": ["job.exploded"]}, {"secret": "x"}):
        hook = {"url": URL, **wrong}
        for response in (
            client.post("/v1/webhooks", json=hook),
            client.post("/v1/generations", json={"prompt": "a dog", "webhook": hook}),
            post_concept(webhook=hook),
        ):
            assert response.status_code == 422, wrong
    assert client.post("/v1/webhooks", json={}).status_code == 422


@pytest.mark.parametrize("more_settings", [{"DTI_LIMIT_WEBHOOKS": "1"}])
def test_too_many_webhooks_are_refused(create):
    assert create().status_code == 201
    response = create()
    assert (response.status_code, response.json()["code"], response.json()["limit"]) == (409, "too_many_webhooks", 1)


def test_unknown_webhooks_and_deliveries_are_not_found(client, create):
    created = create().json()["webhook"]["id"]
    for method, path in (
        ("GET", "/v1/webhooks/whk_none"),
        ("PATCH", "/v1/webhooks/whk_none"),
        ("DELETE", "/v1/webhooks/whk_none"),
        ("POST", "/v1/webhooks/whk_none/rotate"),
        ("POST", "/v1/webhooks/whk_none/test"),
        ("GET", "/v1/webhooks/whk_none/deliveries"),
        ("POST", f"/v1/webhooks/{created}/deliveries/dlv_none/redeliver"),
    ):
        response = client.request(method, path, json={} if method == "PATCH" else None)
        assert (response.status_code, response.json()["code"]) == (404, "not_found"), path


@pytest.mark.parametrize("more_settings", [{"DTI_WEBHOOK_PRIVATE_NETWORKS": "on"}])
def test_slow_receivers_occupy_only_the_threads_of_the_sender(client, create, receiver, webhook_sender):
    receiver.dawdle_s = 0.5
    created = create(receiver.url()).json()["webhook"]["id"]
    for _ in range(CONCURRENCY + 1):
        client.post(f"/v1/webhooks/{created}/test")
    begun = time.monotonic()
    assert webhook_sender.deliver() == CONCURRENCY
    assert webhook_sender.deliver() == 0
    assert time.monotonic() - begun < 0.5
    webhook_sender.close()
    assert len(receiver.got) == CONCURRENCY


@pytest.mark.parametrize("more_settings", [{"DTI_WEBHOOK_PRIVATE_NETWORKS": "on"}])
def test_no_secret_and_no_url_is_logged(client, create, receiver, deliver, caplog):
    caplog.set_level("DEBUG")
    receiver.answers = [500]
    created = create(receiver.url("/hook-for-hush")).json()
    client.post(f"/v1/webhooks/{created['webhook']['id']}/test")
    deliver()
    assert "Attempt 1 of delivery dlv_" in caplog.text
    assert created["secret"] not in caplog.text
    assert "hook-for-hush" not in caplog.text
