"""A concept is edited, its pictures are corrected, and an earlier version comes back."""

from playwright.sync_api import expect

from tests.browser.test_accessibility import serious_violations
from tests.support.stack import drawings


def test_a_concept_gets_another_name_and_tags(visit, stack, concepts):
    stack.client.succeeded(stack.client.train("draft-name", drawings("teal"), steps=1, batch_size=1))
    page = visit(stack, "concepts/draft-name")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("final-name")
    dialog.get_by_label("Tags").fill("Pet, art")
    assert serious_violations(page) == []
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="<final-name>")).to_be_visible()
    page.get_by_role("link", name="pet").click()
    expect(page.get_by_role("list", name="Your concepts").get_by_role("listitem")).to_have_count(1)
    stack.client.delete("/v1/concepts/final-name")


def test_pictures_are_captioned_added_and_removed(visit, stack, concepts, pictures):
    stack.client.succeeded(stack.client.train("album", drawings("teal", count=2), steps=1, batch_size=1))
    page = visit(stack, "concepts/album")
    images = page.get_by_role("region", name="Training pictures").locator(".training-pictures > li")
    expect(images).to_have_count(2)
    page.get_by_role("button", name="Edit picture 1").click()
    page.get_by_role("dialog").get_by_label("Caption").fill("a photo of <album> on a table")
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(images.first).to_contain_text("on a table")
    page.get_by_role("region", name="Training pictures").get_by_role("button", name="Add").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("dialog").get_by_role("button", name="Choose pictures").click()
    chooser.value.set_files(pictures[:1])
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    expect(images).to_have_count(3)
    page.get_by_role("button", name="Edit picture 3").click()
    page.get_by_role("dialog").get_by_label("Remove this picture").check()
    page.get_by_role("dialog").get_by_role("button", name="Save").click()
    expect(images).to_have_count(2)
    stack.client.delete("/v1/concepts/album")


def test_an_earlier_version_is_used_again(visit, stack, concepts, screenshot):
    stack.client.succeeded(stack.client.train("twice", drawings("teal"), steps=2, batch_size=1))
    stack.client.succeeded(stack.client.retrain("twice", steps=3, batch_size=1))
    page = visit(stack, "concepts/twice")
    versions = page.get_by_role("region", name="Versions").get_by_role("listitem")
    expect(versions).to_have_count(2)
    expect(versions.first).to_contain_text("In use")
    screenshot(page, "versions-light-wide")
    assert serious_violations(page) == []
    versions.last.get_by_role("button", name="Use this version").click()
    expect(versions.last).to_contain_text("In use")
    assert stack.client.get("/v1/concepts/twice").json()["version"] == 1
    stack.client.delete("/v1/concepts/twice")


def test_what_was_done_is_shown_as_code(visit, stack, concepts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = visit(stack, "create?prompt=a photo of <ball>")
    page.get_by_role("radio", name="1", exact=True).check()
    page.get_by_role("button", name="Generate").click()
    made = page.get_by_role("article").filter(has_text="a photo of <ball>").first
    made.get_by_role("button", name="As code").click()
    dialog = page.get_by_role("dialog")
    code = dialog.locator("pre")
    expect(code).to_contain_text('"prompt": "a photo of <ball>"')
    assert serious_violations(page) == []
    dialog.get_by_role("radio", name="Python").check()
    expect(code).to_contain_text("client.create_generation(")
    program = code.inner_text()
    compile(program, "shown", "exec")
    dialog.get_by_role("radio", name="TypeScript").check()
    expect(code).to_contain_text('client.POST("/v1/generations"')
    scope = {}
    exec(program, scope)
    assert scope["job"].input["prompt"] == "a photo of <ball>"
    assert len(list(tmp_path.glob("*.png"))) == 1
