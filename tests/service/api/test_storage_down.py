"""The API while the object store is down or hangs; the store is this module's own."""

import os
import secrets
import signal
import time

import httpx
import pytest

from stack import stores
from stack.processes import LOOPBACK, Child, free_port
from tests.support.stores import S3


@pytest.fixture
def storage(tmp_path, logs):
    keys = {"access_key": secrets.token_hex(8), "secret_key": secrets.token_hex(16)}
    port = free_port()
    with Child(stores.s3(tmp_path / "objects", port, **keys), logs) as child:
        yield child, S3(f"http://{LOOPBACK}:{port}", **keys, bucket="test")


@pytest.fixture
def s3(storage):
    return storage[1]


def test_a_storage_that_is_down_is_reported_and_nothing_is_stored(client, post_concept, create_trained, storage):
    create_trained("my-dog")
    url = client.get("/v1/concepts/my-dog").json()["images"][0]["url"]
    storage[0].stop()
    refused = [
        post_concept("other"),
        client.delete("/v1/concepts/my-dog"),
        client.get("/v1/concepts/my-dog/embedding"),
        httpx.get(url),
    ]
    for response in refused:
        assert (response.status_code, response.json()["code"]) == (503, "storage_unavailable")
        assert "127.0.0.1" not in response.text
        assert "own_local" not in response.text
    assert client.get("/health/ready").json()["down"] == ["storage"]
    assert [concept["name"] for concept in client.get("/v1/concepts").json()["items"]] == ["my-dog"]


def test_a_hanging_storage_is_noticed_before_probes_time_out(client, storage):
    os.kill(storage[0].pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        response = client.get("/health/ready")
        assert (response.status_code, response.json()["down"]) == (503, ["storage"])
        assert time.monotonic() - begin < 10
    finally:
        os.kill(storage[0].pid, signal.SIGCONT)
