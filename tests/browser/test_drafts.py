"""Nothing that is typed or chosen is lost: over views, reloads, and restarts of the server."""

import pytest
from playwright.sync_api import expect

from tests.support.stack import Stack

PROMPT = "a photo of a lighthouse at dawn"


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory):
    """A stack that can be killed without a harm to other tests."""
    stack = Stack(tmp_path_factory.mktemp("drafts") / "home")
    stack.start()
    yield stack
    stack.client.close()
    stack.kill()


def prompt_of(page):
    return page.get_by_role("combobox", name="Prompt")


def write_generation(page):
    prompt_of(page).fill(PROMPT)
    page.get_by_text("Settings").click()
    page.get_by_label("Steps").fill("7")
    page.get_by_role("radio", name="2", exact=True).check()


def expect_generation(page):
    expect(prompt_of(page)).to_have_value(PROMPT)
    expect(page.get_by_label("Steps")).to_have_value("7")
    expect(page.get_by_role("radio", name="2", exact=True)).to_be_checked()


def test_a_prompt_and_its_settings_survive_views_and_reloads(visit, own_stack):
    page = visit(own_stack, "create")
    expect(page.get_by_text("Settings")).to_be_visible()
    write_generation(page)
    page.goto(f"{own_stack.url}/#/activity")
    page.go_back()
    expect_generation(page)
    page.reload()
    expect_generation(page)


def test_a_half_filled_concept_keeps_its_pictures_over_a_reload(visit, own_stack, pictures):
    page = visit(own_stack, "concepts/new")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures").click()
    chooser.value.set_files(pictures)
    page.get_by_label("Class word").fill("mug")
    page.get_by_label("Name").fill("half-done")
    chosen = page.get_by_role("list", name="Chosen pictures").get_by_role("listitem")
    expect(chosen).to_have_count(3)
    page.reload()
    expect(chosen).to_have_count(3)
    expect(page.get_by_label("Name")).to_have_value("half-done")
    expect(page.get_by_label("Class word")).to_have_value("mug")


def test_sent_prompts_come_back_with_the_arrow_keys(visit, own_stack):
    page = visit(own_stack, "create?prompt=a dog")
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("article")).to_have_count(1)
    prompt = prompt_of(page)
    prompt.fill("")
    prompt.press("ArrowUp")
    expect(prompt).to_have_value("a dog")
    prompt.press("ArrowDown")
    expect(prompt).to_have_value("")


def test_a_draft_and_a_view_come_back_after_the_server_was_away(visit, own_stack):
    page = visit(own_stack, "create")
    page.monitor.expect("ERR_|Failed to load")
    expect(page.get_by_text("Settings")).to_be_visible()
    write_generation(page)
    own_stack.kill()
    page.evaluate("location.hash = '#/activity'")
    expect(page.get_by_role("heading", name="This view could not be loaded")).to_be_visible()
    own_stack.start()
    expect(page.get_by_role("heading", name="Activity")).to_be_visible()
    page.evaluate("location.hash = '#/create'")
    expect_generation(page)
