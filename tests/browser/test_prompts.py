"""The prompt field: suggestions, insertion and errors."""

import pytest
from playwright.sync_api import expect


@pytest.fixture
def prompt(visit, stack, concepts):
    page = visit(stack, "create")
    box = page.get_by_role("combobox", name="Prompt")
    expect(box).to_be_focused()
    expect(page.get_by_role("button", name="Insert ball")).to_be_visible()
    return box


def test_a_concept_is_completed_by_keyboard(prompt, screenshot):
    options = prompt.page.get_by_role("listbox", name="Concepts").get_by_role("option")
    prompt.press_sequentially("a photo of <")
    assert {"<ball>", "<cube>"} <= {text.split("\n")[0] for text in options.all_inner_texts()}
    expect(prompt).to_have_attribute("aria-expanded", "true")
    screenshot(prompt.page, "completion-light-wide")
    prompt.press_sequentially("cu")
    expect(options).to_have_count(1)
    assert prompt.get_attribute("aria-activedescendant") == options.get_attribute("id")
    prompt.press("Enter")
    expect(prompt).to_have_value("a photo of <cube>")
    expect(prompt).to_have_attribute("aria-expanded", "false")


def test_escape_closes_the_suggestions_and_keeps_the_text(prompt):
    prompt.press_sequentially("a <b")
    prompt.press("Escape")
    expect(prompt.page.get_by_role("listbox")).to_be_hidden()
    expect(prompt).to_have_value("a <b")


def test_a_concept_is_inserted_by_its_button(prompt):
    prompt.press_sequentially("two of")
    prompt.page.get_by_role("button", name="Insert ball").click()
    expect(prompt).to_have_value("two of <ball>")


def test_an_unknown_concept_is_reported_below_the_prompt(prompt):
    prompt.page.monitor.expect("422")
    prompt.press_sequentially("a photo of <unknown> here")
    prompt.press("Enter")
    expect(prompt.page.get_by_role("alert").filter(has_text="unknown")).to_be_visible()
