"""Interpolations: slider, playback, export, form, blending."""

import pytest
from playwright.sync_api import expect

FRAMES = 4


@pytest.fixture
def interpolation(visit, stack, concepts):
    """The card of the newest interpolation."""
    stack.client.succeeded(stack.client.interpolate("ball", "cube", frames=FRAMES, steps=2, prompt="a photo of {}"))
    page = visit(stack, "morph")
    return page.get_by_role("article").first


def shown_frame(article):
    return article.locator(".stage .frame:not([hidden]) img").get_attribute("alt")


def test_the_slider_selects_a_frame(interpolation, screenshot):
    slider = interpolation.get_by_role("slider")
    assert shown_frame(interpolation).startswith("Frame 1: 0 %")
    slider.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuetext", "33 % of the way")
    slider.press("End")
    assert shown_frame(interpolation).startswith(f"Frame {FRAMES}: 100 %")
    screenshot(interpolation.page, "interpolation-light-wide")


def test_the_player_plays_and_pauses(interpolation):
    interpolation.get_by_role("button", name="Play").click()
    expect(interpolation.get_by_role("slider")).not_to_have_attribute("aria-valuetext", "0 % of the way")
    interpolation.get_by_role("button", name="Pause").click()
    expect(interpolation.get_by_role("button", name="Play")).to_be_visible()


@pytest.mark.parametrize("animation", ["GIF", "WebP", "MP4"])
def test_an_interpolation_is_exported_as_an_animation(interpolation, animation):
    interpolation.get_by_role("button", name="Export").click()
    with interpolation.page.expect_download() as download:
        interpolation.get_by_role("menuitem", name=animation).click()
    assert download.value.suggested_filename == f"ball-to-cube.{animation.lower()}"


def test_the_form_starts_an_interpolation(visit, stack, concepts):
    page = visit(stack, "morph")
    page.get_by_label("From").select_option("cube")
    page.get_by_label("To", exact=True).select_option("ball")
    page.get_by_role("spinbutton", name="Frames").fill("2")
    page.get_by_label("Steps").fill("2")
    page.get_by_role("button", name="Interpolate").click()
    expect(page.get_by_role("article").first.get_by_role("slider")).to_have_attribute("max", "1")


def test_a_frame_is_blended_into_a_new_concept(interpolation, stack):
    interpolation.get_by_role("slider").press("ArrowRight")
    interpolation.get_by_role("button", name="Blend at this frame").click()
    dialog = interpolation.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("ballcube")
    dialog.get_by_role("button", name="Blend").click()
    expect(interpolation.page.get_by_role("heading", name="<ballcube>")).to_be_visible()
    assert stack.client.get("/v1/concepts/ballcube").json()["ready"]
    stack.client.delete("/v1/concepts/ballcube")
