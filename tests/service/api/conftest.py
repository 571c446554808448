"""The API on a real port with real stores, and a fake worker."""

import json
import shutil

import httpx
import pytest

from service.context import Service
from service.settings import Settings
from stack.processes import LOOPBACK, free_port
from tests.support.api_server import serving
from tests.support.fake_worker import FakeWorker
from tests.support.stores import store_environment
from tests.support.upload_samples import png


@pytest.fixture
def database_url(request):
    """SQLite, where a test does not ask for another by parametrising, as those of what lies in the database do."""
    kind = getattr(request, "param", "sqlite")
    return request.getfixturevalue("sqlite_url" if kind == "sqlite" else "postgres_url")


@pytest.fixture
def more_settings():
    """Settings beside the stores; a test parametrises them."""
    return {}


@pytest.fixture
def settings(environment, more_settings):
    port = free_port()
    address = {"DTI_PORT": str(port), "DTI_S3_PUBLIC_ENDPOINT": f"http://{LOOPBACK}:{port}"}
    return Settings.from_environment({**environment, **address, **more_settings})


@pytest.fixture
def running(service):
    """The server, listening; it closes the service."""
    with serving(service) as started:
        yield started


@pytest.fixture
def client(running, settings):
    with httpx.Client(base_url=f"http://{settings.host}:{settings.port}", timeout=20) as opened:
        yield opened


@pytest.fixture(scope="module")
def read_only_client(tmp_path_factory, sqlite_template, valkey_server, s3_server):
    """One server for all tests of a module that only read what it serves itself; its database stays empty."""
    folder = tmp_path_factory.mktemp("read-only")
    database = shutil.copy(sqlite_template, folder / "dti.sqlite3")
    stores = store_environment(folder / "home", f"sqlite:///{database}", valkey_server, s3_server.new_bucket())
    settings = Settings.from_environment({**stores, "DTI_PORT": str(free_port())})
    with (
        serving(Service.open(settings)),
        httpx.Client(base_url=f"http://{settings.host}:{settings.port}", timeout=20) as opened,
    ):
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
        response = post_concept(name, **fields)
        assert response.status_code == 202, response.text
        worker.work()
        return response.json()["concept"]["id"]

    return train
