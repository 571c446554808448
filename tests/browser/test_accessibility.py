"""Layout on a phone and a wide screen, both themes, accessibility (axe), focus."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

pytestmark = pytest.mark.usefixtures("concepts")

SCREENS = {"phone": {"width": 360, "height": 740}, "wide": {"width": 1440, "height": 900}}
VIEWS = {
    "concepts": "",
    "new": "concepts/new?example=purple-owl",
    "concept": "concepts/ball",
    "create": "create?prompt=a photo of <ball> and <cube>",
    "gallery": "images",
    "grid": "grid",
    "morph": "morph",
    "activity": "activity",
}
SETTLE_MS = 150


def serious_violations(page):
    violations = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {violation['help']} {[node['html'][:160] for node in violation['nodes'][:3]]}"
        for violation in violations
        if violation["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize(("scheme", "screen"), [("light", "phone"), ("dark", "wide")])
def test_every_view_fits_the_screen_without_serious_violations(visit, stack, screenshot, scheme, screen):
    page = visit(stack, viewport=SCREENS[screen], color_scheme=scheme)
    problems = {}
    for name, view in VIEWS.items():
        page.goto(f"{stack.url}/#/{view}")
        expect(page.locator("h1")).to_have_count(1)
        page.wait_for_load_state("networkidle")
        page.wait_for_timeout(SETTLE_MS)
        screenshot(page, f"{name}-{scheme}-{screen}")
        too_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        problems[name] = serious_violations(page) + (["the page scrolls horizontally"] if too_wide else [])
    assert {name: found for name, found in problems.items() if found} == {}


def test_dialogs_menus_and_disclosures_have_no_serious_violations(visit, stack, screenshot):
    page = visit(stack, "concepts/ball")
    page.get_by_role("button", name="Export").click()
    problems = serious_violations(page)
    screenshot(page, "export-light-wide")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="More").click()
    page.get_by_role("menuitem", name="Train again").click()
    page.get_by_role("dialog").get_by_text("Advanced").click()
    problems += serious_violations(page)
    screenshot(page, "train-again-light-wide")
    assert problems == []


@pytest.mark.parametrize("name", ["Export", "More"])
def test_a_menu_stays_within_a_phone_screen(visit, stack, name):
    page = visit(stack, "concepts/ball", viewport=SCREENS["phone"])
    page.get_by_role("button", name=name).click()
    box = page.get_by_role("menu", name=name).bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= SCREENS["phone"]["width"]


def test_a_chosen_theme_survives_a_reload(visit, stack):
    page = visit(stack, color_scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(background)
    page.get_by_role("button", name="Use the dark theme").click()
    dark = page.evaluate(background)
    assert dark != light
    page.reload()
    assert page.evaluate(background) == dark


def test_focus_is_visible_and_starts_at_the_skip_link(visit, stack):
    page = visit(stack)
    expect(page.get_by_role("heading", name="Concepts")).to_be_visible()
    page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the content")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
