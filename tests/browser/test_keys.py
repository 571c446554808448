"""A server with authentication: the page asks for an API key, stores it as chosen, and sends it with every request."""

import secrets

import pytest
from playwright.sync_api import expect

from stack.processes import LOOPBACK, Child, Program, free_port, responds
from tests.support.stack import CLI, ApiClient, drawings

ADMIN_KEY = secrets.token_hex(32)
NEW_KEY = {"owner": "page", "name": "page", "scopes": ["read", "train", "generate"]}


class ProtectedApi:
    """A second API on the stores and the worker of a stack, with authentication."""

    def __init__(self, stack):
        port = free_port()
        self.url = f"http://{LOOPBACK}:{port}"
        self.key = None
        self.client = ApiClient(self.url, ADMIN_KEY)
        environment = {
            "DTI_HOME": str(stack.home),
            "DTI_PORT": str(port),
            "DTI_S3_PUBLIC_ENDPOINT": self.url,
            "DTI_AUTH": "on",
            "DTI_ADMIN_KEY": ADMIN_KEY,
        }
        program = Program(
            name="protected-api",
            argv=[*CLI, "api"],
            environment=environment,
            ready=lambda: responds(port),
            start_timeout_s=120,
        )
        self.process = Child(program, stack.home / "logs")


@pytest.fixture(scope="module")
def protected(stack):
    """The API, and the key of an owner without concepts."""
    api = ProtectedApi(stack)
    api.process.start()
    api.process.wait_ready()
    api.key = api.client.post("/v1/keys", json=NEW_KEY).raise_for_status().json()["secret"]
    api.client.headers["Authorization"] = f"Bearer {api.key}"
    yield api
    api.client.close()
    api.process.stop()


def enter(page, key, *, remember=False):
    dialog = page.get_by_role("dialog", name="Enter an API key")
    dialog.get_by_label("Key", exact=True).fill(key)
    dialog.get_by_label("Remember in this browser").set_checked(remember)
    dialog.get_by_role("button", name="Use this key").click()


def test_a_missing_key_is_requested_and_a_wrong_key_shows_an_error(visit, protected, screenshot):
    page = visit(protected)
    page.monitor.expect("401")
    dialog = page.get_by_role("dialog", name="Enter an API key")
    expect(dialog).to_be_visible()
    screenshot(page, "key-light-wide")
    enter(page, "dti_wrong")
    expect(dialog.locator(".alert").first).not_to_be_empty()
    enter(page, protected.key)
    expect(page.get_by_role("heading", name="Train a concept of your own")).to_be_visible()
    assert page.context.cookies() == []


@pytest.mark.parametrize(("remember", "requested_again"), [(False, True), (True, False)])
def test_a_key_is_stored_for_later_tabs_only_on_request(visit, protected, remember, requested_again):
    page = visit(protected)
    page.monitor.expect("401")
    enter(page, protected.key, remember=remember)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    second_tab = page.context.new_page()
    second_tab.goto(protected.url)
    expect(
        second_tab.get_by_role("dialog") if requested_again else second_tab.get_by_role("heading", level=1)
    ).to_be_visible()


def test_event_streams_and_downloads_send_the_key(visit, protected):
    protected.client.train("private", drawings("teal"), steps=30, batch_size=1)
    page = visit(protected, "concepts/private")
    page.monitor.expect("401")
    enter(page, protected.key)
    expect(page.get_by_role("region", name="Training", exact=True)).to_contain_text("Succeeded")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="DTI").click()
    assert download.value.suggested_filename == "private.safetensors"
