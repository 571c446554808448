"""OpenAI's images endpoint, with a fake worker."""

import base64
import io
import threading
import time

import httpx
import pytest
from PIL import Image

from service import jobs
from tests.service.api.test_keys import KEYED

PATH = "/v1/images/generations"


@pytest.fixture
def serve(worker):
    """Runs queued jobs soon after their submission."""
    stopping = threading.Event()

    def work():
        while not stopping.wait(0.02):
            worker.work()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stopping.set()
    thread.join()


def queued(client):
    while not (found := client.get("/v1/jobs").json()["items"]):
        time.sleep(0.02)
    return found[0]["id"]


def test_pictures_are_returned_as_urls_or_base64(client, create_trained, serve):
    create_trained("my-dog")
    body = {"prompt": "a <my-dog>", "n": 2, "size": "32x32", "quality": "hd", "style": "vivid", "user": "ada"}
    by_url = client.post(PATH, json=body)
    assert by_url.status_code == 200, by_url.text
    whole = client.post(PATH, json={**body, "response_format": "b64_json", "moderation": {"any": ["thing"]}})
    for linked, embedded in zip(by_url.json()["data"], whole.json()["data"], strict=True):
        assert (linked["b64_json"], embedded["url"]) == (None, None)
        data = base64.b64decode(embedded["b64_json"])
        assert Image.open(io.BytesIO(data)).format == "PNG"
        assert httpx.get(linked["url"], trust_env=False).content == data
    assert by_url.json()["size"] == "32x32"
    job = client.get("/v1/jobs").json()["items"][0]
    assert (job["input"]["width"], job["input"]["num_images"], job["input"]["format"]) == (32, 2, "png")


def test_null_means_the_default(client, serve):
    nothing = dict.fromkeys(("model", "n", "size", "response_format", "output_format", "user", "stream"))
    response = client.post(PATH, json={"prompt": "a dog", **nothing}).raise_for_status().json()
    assert response["size"] == "64x64"
    assert len(response["data"]) == 1
    assert response["data"][0]["url"]


REFUSED = [
    ({}, 422, "invalid_input", "prompt"),
    ({"prompt": "x", "n": 17}, 422, "invalid_input", "n"),
    ({"prompt": "x", "size": "large"}, 422, "invalid_input", "size"),
    ({"prompt": "x", "size": "33x32"}, 422, "invalid_input", "width"),
    ({"prompt": "x", "response_format": "file"}, 422, "invalid_input", "response_format"),
    ({"prompt": "x", "output_format": "gif"}, 422, "invalid_input", "output_format"),
    ({"prompt": "x", "stream": True}, 422, "invalid_input", "stream"),
    ({"prompt": "x", "model": "dall-e-3"}, 422, "unknown_model", None),
    ({"prompt": "a <nobody>"}, 422, "unknown_concept", None),
]


@pytest.mark.parametrize(("body", "status", "code", "field"), REFUSED)
def test_a_refusal_has_the_services_and_openais_format(client, body, status, code, field):
    response = client.post(PATH, json=body)
    problem = response.json()
    assert (response.status_code, problem["code"]) == (status, code)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["error"]["message"] == problem["detail"]
    assert (problem["error"]["code"], problem["error"]["param"]) == (code, field)
    assert client.get("/v1/jobs").json()["items"] == []


@pytest.mark.parametrize("written", ["<my-dgo>", "<My Dgo>", "＜my_dgo＞", "<lora:my-dog:1>"])
def test_text_in_brackets_that_is_no_concept_is_refused_with_the_nearest_one(client, create_trained, written):
    create_trained("my-dog")
    response = client.post(PATH, json={"prompt": f"a photo of {written}"})
    assert (response.status_code, response.json()["error"]["code"]) == (422, "unknown_concept")
    assert "<my-dog>" in response.json()["error"]["message"]


def test_warnings_of_the_job_are_in_the_response(client, create_trained, serve):
    create_trained("my-dog")
    response = client.post(PATH, json={"prompt": "a (<My Dog>:1.3)"}).raise_for_status().json()
    (warning,) = response["warnings"]
    assert (warning["code"], warning["subjects"]) == ("foreign_syntax", ["prompt", "(<My Dog>:1.3)"])
    assert client.post(PATH, json={"prompt": "a <My Dog>"}).raise_for_status().json()["warnings"] == []


def test_only_this_route_has_openais_format(client):
    assert "error" not in client.post("/v1/generations", json={}).json()


@pytest.mark.parametrize("more_settings", [KEYED])
def test_a_missing_key_is_refused_in_openais_format(client):
    assert client.post(PATH, json={"prompt": "x"}).json()["error"]["code"] == "key_missing"


@pytest.mark.parametrize("more_settings", [{"DTI_OPENAI_TIMEOUT_S": "0.3"}])
def test_a_generation_beyond_the_timeout_is_cancelled(client, worker):
    response = client.post(PATH, json={"prompt": "a dog"}, headers={"Idempotency-Key": "once"})
    assert (response.status_code, response.json()["code"]) == (503, "worker_unavailable")
    assert [job["status"] for job in client.get("/v1/jobs").json()["items"]] == ["cancelled"]
    client.post(PATH, json={"prompt": "a dog"}, headers={"Idempotency-Key": "once"})
    assert len(client.get("/v1/jobs").json()["items"]) == 2


def request_in_thread(client, result):
    thread = threading.Thread(target=lambda: result.append(client.post(PATH, json={"prompt": "a dog"})))
    thread.start()
    return thread


def test_a_failed_or_cancelled_job_is_answered_with_its_reason(client, worker):
    result = []
    thread = request_in_thread(client, result)
    queued(client)
    (claim,) = worker.claim()
    worker.write(jobs.fail, claim, "out_of_memory", "Too little memory.")
    thread.join()
    assert (result[0].status_code, result[0].json()["error"]["code"]) == (503, "out_of_memory")
    thread = request_in_thread(client, result)
    while (job := client.get("/v1/jobs").json()["items"][0])["status"] != "queued":
        time.sleep(0.02)
    client.post(f"/v1/jobs/{job['id']}/cancel").raise_for_status()
    thread.join()
    assert (result[1].status_code, result[1].json()["error"]["code"]) == (409, "job_cancelled")


def test_equal_requests_under_one_key_wait_for_one_job(client, serve):
    sent = {"json": {"prompt": "a dog", "response_format": "b64_json"}, "headers": {"Idempotency-Key": "once"}}
    first, again = client.post(PATH, **sent), client.post(PATH, **sent)
    assert first.json() == again.json()
    assert len(client.get("/v1/jobs").json()["items"]) == 1
