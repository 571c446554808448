"""A server that knows its people by keys: the page asks for one, keeps it as it was told, and uses it everywhere."""

import secrets

import pytest
from playwright.sync_api import expect

from tests.support.stack import Stack, drawings

KEY = secrets.token_hex(32)


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """A stack that asks for keys; only its admin has one."""
    running = Stack(tmp_path_factory.mktemp("closed") / "home", DTI_AUTH="on", DTI_ADMIN_KEY=KEY)
    running.start()
    running.client.headers["Authorization"] = f"Bearer {KEY}"
    yield running
    running.client.close()
    running.kill()


def enter(page, key, *, remember=False):
    dialog = page.get_by_role("dialog", name="Enter your key")
    dialog.get_by_label("Key", exact=True).fill(key)
    dialog.get_by_label("Remember it").set_checked(remember)
    dialog.get_by_role("button", name="Use this key").click()


def test_a_key_is_asked_for_and_a_wrong_one_is_refused_in_words(visit, closed, keep):
    page = visit(closed)
    page.watch.expect("401")
    dialog = page.get_by_role("dialog", name="Enter your key")
    expect(dialog).to_be_visible()
    keep(page, "key-light-wide")
    enter(page, "dti_wrong")
    expect(dialog.locator(".alert").first).not_to_be_empty()
    enter(page, KEY)
    expect(page.get_by_role("heading", name="Teach it something of yours")).to_be_visible()
    assert page.context.cookies() == []


@pytest.mark.parametrize(("remember", "asked_again"), [(False, True), (True, False)])
def test_a_key_is_remembered_only_where_somebody_wants_that(visit, closed, remember, asked_again):
    page = visit(closed)
    page.watch.expect("401")
    enter(page, KEY, remember=remember)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    another = page.context.new_page()
    another.goto(closed.url)
    expect(another.get_by_role("dialog") if asked_again else another.get_by_role("heading", level=1)).to_be_visible()


def test_events_and_files_are_fetched_with_the_key(visit, closed):
    closed.client.train("mine", drawings("teal"), steps=30, batch_size=1)
    page = visit(closed, "concepts/mine")
    page.watch.expect("401")
    enter(page, KEY)
    expect(page.get_by_role("region", name="Training")).to_contain_text("Done")
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="DTI").click()
    assert download.value.suggested_filename == "mine.safetensors"
