"""The API on a real port with real stores, and a fake worker."""

import json
import signal
import threading
import time

import httpx
import pytest

from api.server import server
from service.settings import Settings
from stack.processes import LOOPBACK, free_port
from tests.support.fake_worker import FakeWorker
from tests.support.upload_samples import png


@pytest.fixture
def database_url(request):
    """SQLite, where a test does not ask for another by parametrising, as those of what lies in the database do."""
    kind = getattr(request, "param", "sqlite")
    return request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url")


@pytest.fixture
def more_settings():
    """What a test sets beside the stores, by parametrising."""
    return {}


@pytest.fixture
def settings(environment, more_settings):
    port = free_port()
    place = {"DTI_PORT": str(port), "DTI_S3_PUBLIC_ENDPOINT": f"http://{LOOPBACK}:{port}"}
    return Settings.from_environment({**environment, **place, **more_settings})


@pytest.fixture
def running(service):
    """The server, listening; it closes the service."""
    serving = server(service)
    thread = threading.Thread(target=serving.run)
    thread.start()
    while not serving.started and thread.is_alive():
        time.sleep(0.005)
    yield serving
    serving.handle_exit(signal.SIGTERM, None)
    thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture
def client(running, settings):
    with httpx.Client(base_url=f"http://{settings.host}:{settings.port}", timeout=20) as opened:
        yield opened


@pytest.fixture
def worker(service):
    return FakeWorker(service)


@pytest.fixture
def post_concept(client):
    """Posts a concept; keywords replace fields, None leaves one out."""

    def post(name="my-dog", *, images=None, archive=None, headers=None, **fields):
        files = [("images", (f"{n}.png", data)) for n, data in enumerate([png()] if images is None else images)]
        if archive is not None:
            files.append(("archive", ("pictures.zip", archive)))
        given = {"name": name, "class_word": "dog", **fields}
        form = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in given.items()}
        return client.post(
            "/v1/concepts",
            data={key: value for key, value in form.items() if value is not None},
            files=files or {"": ("", b"")},
            headers=headers,
        )

    return post


@pytest.fixture
def create_trained(post_concept, worker):
    """Creates a concept and finishes its training."""

    def train(name="my-dog", **fields):
        answer = post_concept(name, **fields)
        assert answer.status_code == 202, answer.text
        worker.work()
        return answer.json()["concept"]["id"]

    return train
