"""Requests with an Idempotency-Key: repeated, they make one resource."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.support.upload_samples import jpeg, png

KEY = {"Idempotency-Key": "a-key"}

NOT_ASKED = {
    "/v1/jobs/{job_id}/cancel": "asking twice changes nothing",
    "/v1/tokens": "it counts, and makes nothing",
    "/v1/keys": "a key's secret is shown once and not stored: it could not be returned again",
}
"""Routes without an Idempotency-Key, with the reason."""


def both_databases(test):
    return pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)(test)


def test_every_creating_route_can_be_repeated(client):
    paths = client.get("/openapi.json").json()["paths"]
    named = {
        path: [parameter["name"] for parameter in operations["post"].get("parameters", ())]
        for path, operations in paths.items()
        if "post" in operations
    }
    assert [path for path, names in named.items() if "Idempotency-Key" not in names and path not in NOT_ASKED] == []
    assert [path for path in NOT_ASKED if path not in named or "Idempotency-Key" in named[path]] == []


@both_databases
def test_twenty_concurrent_equal_requests_create_one_job(client):
    def post(_):
        return httpx.post(client.base_url.join("/v1/generations"), json={"prompt": "a dog"}, headers=KEY, timeout=30)

    with ThreadPoolExecutor(20) as pool:
        responses = list(pool.map(post, range(20)))
    statuses = Counter(response.status_code for response in responses)
    assert set(statuses) <= {202, 409}
    assert {response.json()["code"] for response in responses if response.status_code == 409} <= {
        "idempotency_in_flight"
    }
    assert all(response.headers["Retry-After"] == "1" for response in responses if response.status_code == 409)
    (job,) = client.get("/v1/jobs").json()["items"]
    accepted = [response for response in responses if response.status_code == 202]
    assert {response.json()["id"] for response in accepted} == {job["id"]}
    assert {response.headers["Location"] for response in accepted} == {f"/v1/jobs/{job['id']}"}
    assert post(0).json() == accepted[0].json()


def test_order_and_white_space_of_a_body_are_irrelevant_and_values_are_not(client):
    headers = {**KEY, "Content-Type": "application/json"}
    first = client.post("/v1/generations", content=b'{"prompt": "a dog", "steps": 5}', headers=headers)
    same = client.post("/v1/generations", content=b'{ "steps":5,\n"prompt":"a d\\u006fg" }', headers=headers)
    assert (same.status_code, same.json()["id"]) == (202, first.json()["id"])
    for other in ({"prompt": "a dog", "steps": 6}, {"prompt": "a dog"}):
        response = client.post("/v1/generations", json=other, headers=KEY)
        assert (response.status_code, response.json()["code"]) == (422, "idempotency_key_reused")
    assert len(client.get("/v1/jobs").json()["items"]) == 1


def test_a_key_is_bound_to_one_path(client, create_trained):
    create_trained()
    assert client.post("/v1/concepts/my-dog/train", json={}, headers=KEY).status_code == 202
    for path in ("/v1/generations", "/v1/concepts/other/train"):
        assert client.post(path, json={}, headers=KEY).status_code == 422


def test_a_repeated_form_is_recognized_by_content(client, post_concept):
    first = post_concept(images=[png(), jpeg()], training={"steps": 5, "seed": 1}, headers=KEY)
    assert first.status_code == 202
    # The fields in another order, another boundary, the settings spelled otherwise.
    files = [("images", ("x.png", png())), ("images", ("y.jpg", jpeg()))]
    fields = {"training": json.dumps({"seed": 1, "steps": 5}, indent=2), "class_word": "dog", "name": "my-dog"}
    again = client.post("/v1/concepts", data=fields, files=files, headers=KEY)
    assert (again.status_code, again.json()["job"]["id"]) == (202, first.json()["job"]["id"])
    swapped = post_concept(images=[jpeg(), png()], training={"steps": 5, "seed": 1}, headers=KEY)
    assert (swapped.status_code, swapped.json()["code"]) == (422, "idempotency_key_reused")


def test_a_repetition_returns_the_current_resource(client, post_concept, worker):
    post_concept(headers=KEY)
    worker.work()
    response = post_concept(headers=KEY)
    assert response.status_code == 202
    assert response.json()["concept"]["ready"]
    assert response.json()["job"]["status"] == "succeeded"
    client.delete("/v1/concepts/my-dog").raise_for_status()
    assert post_concept(headers=KEY).status_code == 404


def test_a_request_that_waits_for_its_job_is_accepted(client, worker):
    def post(prefer=None):
        headers = KEY | ({"Prefer": prefer} if prefer else {})
        return client.post("/v1/generations", json={"prompt": "a dog"}, headers=headers)

    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(post, "wait=20")
        while not (jobs := client.get("/v1/jobs").json()["items"]):
            pass
        early = post()
        assert (early.status_code, early.json()["id"]) == (202, jobs[0]["id"])
        worker.work()
        first = waiting.result()
    assert first.status_code == 201
    late = post()
    assert (late.status_code, late.json()["output"]["images"][0]["seed"]) == (201, 0)


def test_a_refused_request_releases_its_key(client, post_concept):
    assert client.post("/v1/generations", json={"prompt": "a <cat>"}, headers=KEY).status_code == 422
    assert client.post("/v1/generations", json={"nonsense": 1}, headers=KEY).status_code == 422
    assert client.post("/v1/generations", content=b"{", headers=KEY).status_code == 422
    assert post_concept(images=[b"no picture"], headers=KEY).status_code == 415
    assert post_concept(headers=KEY).status_code == 202


def test_an_invalid_key_is_refused(client):
    for key in ("", "x" * 256, "two\twords", "caf\u00e9".encode()):
        response = client.post("/v1/generations", json={"prompt": "a dog"}, headers={"Idempotency-Key": key})
        assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "Idempotency-Key"), key


def test_keys_may_be_any_printable_text(client):
    for key in ("x" * 255, '"8e03978e-40d5-43dd-bc93-6894a57f9324"', "two words"):
        responses = [
            client.post("/v1/generations", json={"prompt": "x"}, headers={"Idempotency-Key": key}) for _ in "12"
        ]
        assert responses[0].json()["id"] == responses[1].json()["id"]


def test_a_malformed_body_is_refused_with_a_key_as_without(client):
    headers = KEY | {"Content-Type": "application/json"}
    for content in (b"[" * 100_000, b'{"prompt":' * 900 + b"1" + b"}" * 900, b'"\\ud800"', b"NaN", b""):
        assert client.post("/v1/generations", content=content, headers=headers).status_code in {400, 422}
    assert client.post("/v1/generations", json={"prompt": "a dog"}, headers=KEY).status_code == 202
