"""A worker and a client in the test's own process, on real stores and a small model with random weights."""

import threading
from contextlib import contextmanager

import pytest

from tests.support.worker_driver import JobClient, WorkerDriver, catalogue_file


@pytest.fixture(scope="session")
def catalogue(tmp_path_factory):
    return catalogue_file(tmp_path_factory.mktemp("models"))


@pytest.fixture
def database_url(sqlite_url):
    """SQLite: the state machine's tests cover both databases."""
    return sqlite_url


@pytest.fixture
def environment(environment, catalogue):
    return {**environment, "DTI_MODELS": str(catalogue)}


@pytest.fixture
def client(service):
    return JobClient(service)


@pytest.fixture
def make_worker(service):
    """Makes workers on this test's service, by name."""
    return lambda name="ada": WorkerDriver(service, name)


@pytest.fixture
def worker(make_worker):
    return make_worker()


@pytest.fixture
def running():
    """Runs a worker's loop in another thread while the block runs; leaving the block waits for its end."""

    @contextmanager
    def run(worker):
        thread = threading.Thread(target=worker.work)
        thread.start()
        try:
            yield
        finally:
            thread.join(timeout=60)
            assert not thread.is_alive()

    return run
