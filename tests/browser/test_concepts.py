"""Actions on a concept: export, import, training again, deletion."""

from playwright.sync_api import expect

from tests.support.stack import drawings


def test_a_concept_is_deleted_after_confirmation(visit, stack, concepts):
    stack.client.succeeded(stack.client.train("brief", drawings("gold"), steps=1, batch_size=1))
    page = visit(stack, "concepts/brief")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Concepts")).to_be_visible()
    assert stack.client.get("/v1/concepts/brief").status_code == 404


def test_an_embedding_is_exported(visit, stack, concepts):
    page = visit(stack, "concepts/ball")
    page.get_by_role("button", name="Export").press("ArrowDown")
    expect(page.get_by_role("menuitem").first).to_be_focused()
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "ball.safetensors"


def test_an_embedding_is_imported(visit, stack, concepts, tmp_path):
    file = tmp_path / "guest.safetensors"
    file.write_bytes(stack.client.get("/v1/concepts/ball/embedding").content)
    page = visit(stack, "concepts/new")
    page.get_by_role("button", name="Import an embedding").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("File").set_input_files(file)
    expect(dialog.get_by_label("Name")).to_have_value("guest")
    dialog.get_by_label("Class word").fill("mug")
    dialog.get_by_role("button", name="Import").click()
    expect(page.get_by_role("heading", name="<guest>")).to_be_visible()
    expect(page.get_by_role("region", name="Nearest tokens").get_by_role("listitem")).to_have_count(8)
    assert stack.client.delete("/v1/concepts/guest").status_code == 204


def test_a_concept_is_trained_again(visit, stack, concepts):
    before = stack.client.get("/v1/concepts/cube").json()["job"]
    page = visit(stack, "concepts/cube")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Train again").click()
    page.get_by_role("dialog").get_by_role("button", name="Start training").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    after = stack.client.get("/v1/concepts/cube").json()["job"]
    assert after != before
    stack.client.succeeded({"id": after})
    expect(page.get_by_role("region", name="Training", exact=True)).to_contain_text("Succeeded")


def test_pictures_excluded_from_training_show_the_reason(visit, stack, concepts):
    pictures = drawings("olive", count=1) * 2 + drawings("olive", count=3)[1:]
    job = stack.client.succeeded(stack.client.train("twins", pictures, steps=1, batch_size=1))
    excluded = [image for image in job["output"]["training_images"] if not image["kept"]]
    page = visit(stack, "concepts/twins")
    expect(page.get_by_role("region", name="Training pictures").locator(".exclusion-reason")).to_have_count(
        len(excluded)
    )
    expect(page.get_by_text("Excluded: nearly the same as another").first).to_be_visible()
    stack.client.delete("/v1/concepts/twins")
