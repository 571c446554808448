"""Rejected uploads: the page names the file and the reason, and keeps the form."""

import base64
import io

import pytest
from playwright.sync_api import Error, expect

from dti.spec.brackets import bracketed
from service.settings import Limits
from service.uploads.files import Upload
from service.uploads.reading import read_pictures, select_uploads
from tests.service.test_training_files import FOLDER
from tests.unit.dti.test_prompts import NO_NAMES, SPELLINGS, TEXTS


@pytest.fixture
def form(visit, stack, concepts):
    page = visit(stack, "concepts/new")
    page.get_by_label("Name").fill("thing")
    page.get_by_label("Class word").fill("mug")
    return page


@pytest.fixture
def training_set():
    """Names, digests and captions of the pictures among files, and the files passed over, by the service's rule."""

    def read(files):
        uploads = [Upload(name, io.BytesIO(data)) for name, data in files.items()]
        pictures = read_pictures(uploads, [], Limits())
        warnings = select_uploads(uploads, [], Limits()).warnings
        skipped = [name for warning in warnings if warning.code == "files_skipped" for name in warning.subjects]
        return sorted((item.filename, item.sha256, item.caption) for item in pictures), sorted(skipped)

    return read


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


def test_any_text_becomes_a_name_that_ends_in_a_letter_or_digit(form):
    name = form.get_by_label("Name")
    for text in ("My Mug!", "  my mug (2024) ", "--my-mug--"):
        name.fill(text)
        name.blur()
        expect(name).to_have_value("my-mug-2024" if "2024" in text else "my-mug")


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


DROP = """(element, { folder, files }) => {
  const root = new Map();
  for (const [path, text] of Object.entries(files)) {
    const parts = path.split("/");
    const bytes = Uint8Array.from(atob(text), (character) => character.codePointAt(0));
    let level = root;
    for (const part of parts.slice(0, -1)) level = level.get(part) ?? level.set(part, new Map()).get(part);
    level.set(parts.at(-1), new File([bytes], parts.at(-1)));
  }
  const entryOf = (name, content) => ({
    name,
    isDirectory: content instanceof Map,
    file: (resolve) => resolve(content),
    createReader: () => {
      const children = [...content].map(([child, inside]) => entryOf(child, inside));
      return { readEntries: (resolve) => resolve(children.splice(0, 5)) };
    },
  });
  const dataTransfer = { items: [{ webkitGetAsEntry: () => entryOf(folder, root) }], files: [] };
  const event = new Event("drop", { bubbles: true, cancelable: true });
  element.dispatchEvent(Object.defineProperty(event, "dataTransfer", { value: dataTransfer }));
}"""


def drop(page, files):
    encoded = {path: base64.b64encode(data).decode() for path, data in files.items()}
    page.locator(".dropzone").first.evaluate(DROP, {"folder": "my pictures", "files": encoded})


def answer_to(button, path):
    """The response to the request that a button sends."""
    is_sought = lambda response: response.request.method == "POST" and path in response.url  # noqa: E731 - one use
    with button.page.expect_response(is_sought) as found:
        button.click()
    assert found.value.ok, found.value.text()
    return found.value.json()


def test_a_dropped_folder_is_the_same_training_set_as_by_every_other_way(form, stack, training_set):
    form.get_by_label("Name").fill("dropped")
    drop(form, FOLDER)
    expect(form.locator(".chosen li")).to_have_count(len(FOLDER))
    answer = answer_to(form.get_by_role("button", name="Start training"), "/v1/concepts")
    stack.client.post(f"/v1/jobs/{answer['job']['id']}/cancel")
    found = [(image["filename"], image["sha256"], image["caption"]) for image in answer["concept"]["images"]]
    assert (sorted(found), sorted(answer["skipped"])) == training_set(FOLDER)
    warnings = form.get_by_role("list", name="Warnings")
    expect(warnings.get_by_text("film.mp4")).to_be_visible()
    expect(warnings.get_by_text(".DS_Store")).to_be_visible()


def test_files_added_to_a_concept_are_the_same_training_set_too(visit, stack, concepts, training_set):
    page = visit(stack, "concepts/ball")
    page.get_by_role("button", name="Add", exact=True).click()
    files = {name: FOLDER[name] for name in ("2.jfif", "2.mask.png", "7.JPG", "7.caption", "notes.md", ".DS_Store")}
    before = {image["id"] for image in stack.client.get("/v1/concepts/ball").json()["images"]}
    drop(page, files)
    answer = answer_to(page.get_by_role("dialog").get_by_role("button", name="Add"), "/images")
    added = [image for image in answer["images"] if image["id"] not in before]
    found = [(image["filename"], image["sha256"], image["caption"]) for image in added]
    assert (sorted(found), sorted(answer["skipped"])) == training_set(files)
    expect(page.get_by_role("list", name="Warnings").get_by_text("notes.md")).to_be_visible()
    for image in added:
        stack.client.delete(f"/v1/concepts/ball/images/{image['id']}")


def test_a_picture_that_is_too_large_is_refused_by_name_before_it_is_sent(form):
    large = "() => [new File([FIRST, new Uint8Array(33e6)], NAME)]"
    first = "new Uint8Array([0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10])"
    append = """async (files) => {
      const { appendFiles, chosenFile } = await import("/page/scripts/chosen-files.js");
      const data = new FormData();
      await appendFiles(data, files().map(chosenFile));
      return [...data.values()].map((file) => file.size);
    }"""
    picture, film = (large.replace("FIRST", head).replace("NAME", '"a.bin"') for head in (first, '"film"'))
    with pytest.raises(Error, match=r"a\.bin has 33.*at most 32"):
        form.evaluate(f"({append})({picture})")
    assert form.evaluate(f"({append})({film})") == [4096]


def test_the_prompts_triggers_are_those_of_the_service(form):
    prompts = [text for text, _ in SPELLINGS + NO_NAMES] + list(TEXTS)
    found = form.evaluate(
        """async (prompts) => {
          const { bracketed } = await import("/page/scripts/brackets.js");
          return prompts.map((prompt) => bracketed(prompt).map(({ name }) => name));
        }""",
        prompts,
    )
    assert found == [[bracket.name for bracket in bracketed(prompt)] for prompt in prompts]
