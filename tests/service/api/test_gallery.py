"""The gallery over HTTP: list, search, mark, download, delete."""

import io
import json
import zipfile

import httpx
import pytest


@pytest.fixture
def generated(client, worker):
    """The newest job of two, each with pictures."""

    def generate(prompt, num_images=2):
        job = client.post("/v1/generations", json={"prompt": prompt, "num_images": num_images}).json()
        worker.work()
        return job["id"]

    generate("a cat")
    return generate("a dog")


def test_images_are_listed_with_their_jobs_and_urls(client, generated):
    page = client.get("/v1/images", params={"limit": 3}).json()
    newest = page["items"][0]
    assert [item["job"] == generated for item in page["items"]] == [True, True, False]
    assert (newest["kind"], newest["model"], newest["concepts"], newest["favourite"]) == ("generate", "tiny", [], False)
    assert httpx.get(newest["url"], trust_env=False).status_code == 200
    rest = client.get("/v1/images", params={"cursor": page["next"]}).json()
    assert (len(rest["items"]), rest["next"]) == (1, None)
    assert client.get(f"/v1/images/{newest['id']}").json()["sha256"] == newest["sha256"]


def test_a_favourite_is_found_as_one(client, generated):
    image = client.get("/v1/images").json()["items"][0]["id"]
    changed = client.patch(f"/v1/images/{image}", json={"favourite": True})
    assert changed.json()["favourite"] is True
    favourites = client.get("/v1/images", params={"favourite": True}).json()["items"]
    assert [item["id"] for item in favourites] == [image]
    assert client.patch(f"/v1/images/{image}", json={}).status_code == 422


def test_a_download_holds_the_images_and_their_prompts(client, generated):
    items = client.get("/v1/images", params={"job": generated}).json()["items"]
    response = client.get("/v1/images/archive", params={"job": generated})
    archive = zipfile.ZipFile(io.BytesIO(response.content))
    assert archive.testzip() is None
    described = json.loads(archive.read("images.json"))
    assert [entry["id"] for entry in described] == [item["id"] for item in items]
    assert described[0]["job"] == generated
    assert archive.read(described[0]["file"]) == httpx.get(items[0]["url"], trust_env=False).content
    named = client.get("/v1/images/archive", params={"id": [items[1]["id"], "img_nothing"]})
    assert len(zipfile.ZipFile(io.BytesIO(named.content)).namelist()) == 2


def test_a_deleted_image_and_a_deleted_job_are_gone(client, generated, service):
    items = client.get("/v1/images", params={"job": generated}).json()["items"]
    assert client.delete(f"/v1/images/{items[0]['id']}").status_code == 204
    assert client.get(f"/v1/images/{items[0]['id']}").status_code == 404
    assert httpx.get(items[0]["url"], trust_env=False).status_code == 404
    assert client.delete(f"/v1/jobs/{generated}").status_code == 204
    assert client.get(f"/v1/jobs/{generated}").status_code == 404
    assert client.get("/v1/images", params={"job": generated}).json()["items"] == []
    assert httpx.get(items[1]["url"], trust_env=False).status_code == 404


def test_an_unfinished_job_is_not_deleted(client):
    job = client.post("/v1/generations", json={"prompt": "a dog"}).json()["id"]
    response = client.delete(f"/v1/jobs/{job}")
    assert (response.status_code, response.json()["code"]) == (409, "job_unfinished")


def test_models_are_listed_as_openais_clients_read_them(client):
    page = client.get("/v1/models").json()
    assert (page["object"], [model["id"] for model in page["data"]]) == ("list", ["tiny"])


def test_tokens_of_a_prompt_are_counted_once_a_worker_has_told_the_tokenizers(client):
    response = client.post("/v1/tokens", json={"prompt": "a dog"})
    assert response.json() == {"model": "tiny", "concepts": [], "encoders": None, "fits": None}
    assert client.post("/v1/tokens", json={"prompt": "a <nobody>"}).json()["code"] == "unknown_concept"


@pytest.mark.parametrize("before", ["0.5", "yesterday", "2026-01-01T12:00:00", "2026-01-01"])
def test_a_time_without_a_zone_is_refused(client, before):
    assert client.get("/v1/images", params={"before": before}).json()["code"] == "invalid_input"


def test_images_before_a_time_are_listed(client, generated):
    assert client.get("/v1/images", params={"before": "2100-01-01T00:00:00Z"}).json()["items"]
    assert client.get("/v1/images", params={"before": "2001-01-01T00:00:00+02:00"}).json()["items"] == []
