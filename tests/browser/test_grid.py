"""The grid: one picture a pair of values, on a sheet that can be downloaded."""

from PIL import Image
from playwright.sync_api import expect

from tests.browser.test_accessibility import serious_violations


def test_concepts_and_seeds_are_compared_on_one_sheet(visit, stack, concepts, screenshot):
    page = visit(stack, "grid")
    page.get_by_label("Prompt").fill("a photo of {} at night")
    page.get_by_label("Rows: values").fill("ball\ncube")
    page.get_by_label("Columns: values").fill("1, 2")
    page.get_by_label("Steps").fill("3")
    page.get_by_role("button", name="Generate").click()
    cells = page.get_by_role("region", name="Grid").get_by_role("cell")
    expect(cells.locator("img.loaded")).to_have_count(4)
    expect(page.get_by_role("button", name="Download the sheet")).to_be_visible()
    assert serious_violations(page) == []
    screenshot(page, "grid-light-wide")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download the sheet").click()
    sheet = Image.open(download.value.path())
    assert sheet.width > 2 * 256
    assert len(sheet.convert("RGB").getcolors(1 << 24)) > 100
    jobs = stack.client.get("/v1/jobs?kind=generate&limit=4").json()["items"]
    asked = {(job["input"]["prompt"], job["input"]["seed"]) for job in jobs}
    assert asked == {(f"a photo of <{name}> at night", seed) for name in ("ball", "cube") for seed in (1, 2)}


def test_what_cannot_be_compared_is_told(visit, stack, concepts):
    page = visit(stack, "grid")
    alert = page.get_by_role("alert").filter(has_text=" ")
    page.get_by_role("button", name="Generate").click()
    expect(alert).to_contain_text("Enter the concepts of the rows.")
    page.get_by_label("Rows: values").fill("ball")
    page.get_by_label("Columns: values").fill("one")
    page.get_by_role("button", name="Generate").click()
    expect(alert).to_contain_text("“one” is no number")
