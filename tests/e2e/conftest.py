"""One embedded stack for all tests from end to end, and the training that every other one must equal."""

import pytest

from tests.support.stack import TRAINING, Stack, drawings


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    running = Stack(tmp_path_factory.mktemp("serve") / "home", DTI_LEASE_S="3", DTI_RENOTIFY_S="1")
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="session")
def untroubled(stack):
    """The digest of an embedding whose training nothing disturbed; wherever it is repeated, it comes out the same."""
    stack.client.succeeded(stack.client.train("ball", drawings("crimson"), **TRAINING))
    return stack.client.embedding("ball")["sha256"]
