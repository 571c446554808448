"""The main task, from training pictures to generated pictures, by keyboard and by mouse."""

import re

from playwright.sync_api import expect

STEPS = "10"
MAX_ACTIONS = 20


class Keyboard:
    """A keyboard that counts actions: a key press or a typed text is one."""

    def __init__(self, page):
        self._page = page
        self.actions = 0

    def press(self, *keys):
        for key in keys:
            self.actions += 1
            self._page.keyboard.press(key)

    def type(self, text):
        self.actions += 1
        self._page.keyboard.type(text)

    def choose(self, files):
        """Open the file chooser with Enter and choose files."""
        with self._page.expect_file_chooser() as chooser:
            self.press("Enter")
        self.actions += 1
        chooser.value.set_files(files)


def test_the_main_task_by_keyboard_alone(visit, stack, pictures, screenshot):
    page = visit(stack, "concepts/new")
    expect(page.get_by_role("button", name="Choose pictures")).to_be_focused()
    keyboard = Keyboard(page)
    keyboard.choose(pictures)
    expect(page.get_by_label("Name")).to_be_focused()
    keyboard.type("My Disc")
    keyboard.press("Tab")
    keyboard.type("mug")
    keyboard.press("Tab", "Tab", "Enter", "Tab")
    keyboard.type(STEPS)
    keyboard.press("Enter")
    generate = page.get_by_role("link", name="Generate")
    expect(generate).to_be_focused()
    keyboard.press("Enter")
    expect(page.get_by_role("combobox", name="Prompt")).to_have_value("a photo of <my-disc>")
    keyboard.type(" in the snow")
    keyboard.press("Enter")
    results = page.get_by_role("region", name="Results").get_by_role("article").first
    expect(results.locator("img.loaded")).to_have_count(4)
    expect(results.locator("img.loaded").first).to_have_css("opacity", "1")
    expect(results).to_contain_text("a photo of <my-disc> in the snow")
    assert keyboard.actions <= MAX_ACTIONS
    screenshot(page, "results-light-wide")


def test_the_main_task_by_mouse(visit, stack, pictures, screenshot):
    page = visit(stack)
    page.get_by_role("link", name="New concept").or_(page.get_by_role("link", name="Train a concept")).click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose pictures").click()
    chooser.value.set_files(pictures)
    expect(page.get_by_role("list", name="Chosen pictures").get_by_role("listitem")).to_have_count(3)
    page.get_by_label("Name").fill("green-disc")
    page.get_by_label("Class word").fill("mug")
    page.get_by_text("Advanced").click()
    page.get_by_label("Steps", exact=True).fill("30")
    page.get_by_role("button", name="Start training").click()
    training = page.get_by_role("region", name="Training", exact=True)
    expect(training).to_contain_text("of 30 steps")
    screenshot(page, "training-light-wide")
    expect(training).to_contain_text("Succeeded")
    expect(training.locator(".loss-chart .smooth")).to_have_attribute("d", re.compile("^M[^L]+(L[^L]+){29}$"))
    expect(training.get_by_role("list", name="Previews").locator("img.loaded")).to_have_count(5)
    expect(page.get_by_role("region", name="Nearest tokens").get_by_role("listitem")).to_have_count(8)
    screenshot(page, "concept-light-wide")
    page.get_by_role("link", name="Generate").click()
    page.get_by_role("radio", name="2", exact=True).check()
    page.get_by_role("button", name="Generate").click()
    first = page.get_by_role("article").first
    expect(first.locator("img.loaded")).to_have_count(2)
    with page.expect_download() as download:
        first.get_by_role("link", name="Download").first.click()
    assert download.value.suggested_filename.startswith("a-photo-of-green-disc-")


def test_reused_settings_generate_the_same_picture(visit, stack, concepts):
    page = visit(stack, "create?prompt=a photo of <ball>")
    page.get_by_role("radio", name="1", exact=True).check()
    page.get_by_role("button", name="Generate").click()
    first = page.get_by_role("article").filter(has_text="a photo of <ball>").first
    expect(first.locator("img.loaded")).to_have_count(1)
    seed = first.locator(".seed").inner_text()
    first.get_by_role("button", name="Reuse settings").click()
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_role("article").filter(has_text=seed)).to_have_count(2)
    first_hash, second_hash = (
        job["output"]["images"][0]["sha256"]
        for job in stack.client.get("/v1/jobs?kind=generate&limit=2").json()["items"]
    )
    assert first_hash == second_hash
