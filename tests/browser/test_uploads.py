"""Rejected uploads: the page names the file and the reason, and keeps the form."""

import pytest
from playwright.sync_api import expect


@pytest.fixture
def form(visit, stack, concepts):
    page = visit(stack, "concepts/new")
    page.get_by_label("Name").fill("thing")
    page.get_by_label("Class word").fill("mug")
    return page


def send(page, files):
    page.locator("input[type=file]").set_input_files(files)
    page.get_by_role("button", name="Start training").click()


def test_a_text_file_with_a_picture_extension_is_named(form, pictures, tmp_path, screenshot):
    document = tmp_path / "document.png"
    document.write_text("This is not a picture.")
    form.monitor.expect("415")
    send(form, [*pictures, str(document)])
    expect(form.get_by_role("alert").filter(has_text="document.png")).to_be_visible()
    expect(form.locator(".chosen .rejected")).to_have_count(1)
    expect(form.get_by_role("button", name="Remove document.png")).to_be_focused()
    screenshot(form, "upload-refused-light-wide")
    form.keyboard.press("Enter")
    expect(form.locator(".chosen li")).to_have_count(3)
    expect(form.get_by_label("Name")).to_have_value("thing")


def test_a_form_without_pictures_is_not_sent(form):
    form.get_by_role("button", name="Start training").click()
    expect(form.get_by_role("alert").filter(has_text="Choose at least one picture.")).to_be_visible()
    expect(form.get_by_role("button", name="Choose pictures")).to_be_focused()


def test_a_taken_name_is_reported_in_the_form(form, pictures):
    form.monitor.expect("409")
    form.get_by_label("Name").fill("ball")
    send(form, pictures)
    expect(form.get_by_role("alert").filter(has_text="ball")).to_be_visible()


def test_a_setting_out_of_range_is_reported_at_its_field(form, pictures):
    form.monitor.expect("422")
    form.get_by_text("Advanced").click()
    steps = form.get_by_label("Steps", exact=True)
    steps.fill("99999")
    send(form, pictures)
    expect(steps).to_be_focused()
    expect(steps).to_have_attribute("aria-invalid", "true")


FOLDER = """async () => {
  const { filesOf } = await import("/page/scripts/dropped-files.js");
  const file = (name) => ({ name, isDirectory: false, file: (resolve) => resolve(new File([], name)) });
  const folder = (name, ...children) => ({
    name,
    isDirectory: true,
    createReader: () => ({ readEntries: (resolve) => resolve(children.splice(0, 2)) }),
  });
  const dropped = folder("pictures", file("b.JPG"), file("a.png"), file("notes.txt"), file(".hidden.png"),
    folder("more", file("c.webp")), folder(".cache", file("d.png")));
  return (await filesOf(dropped, { inFolder: false })).map((found) => found.name);
}"""


def test_a_dropped_folder_gives_its_pictures_and_nothing_hidden(form):
    assert form.evaluate(FOLDER) == ["a.png", "b.JPG", "c.webp"]
