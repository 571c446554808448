import io
import itertools

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageSequence

from dti.errors import NoPicturesError, PictureError
from dti.pictures import contact_sheet, flatten, prepare, to_animation
from dti.spec.templates import OBJECT_TEMPLATES, STYLE_TEMPLATES, training_prompts
from tests.unit.dti.laws import law, seeds


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ramp(width, height):
    """A picture in which red says how far right, green how far down a pixel is."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, 0 * down], axis=-1).astype(np.uint8))


def cut(*arguments):
    """The pixels of the crops."""
    return [crop.pixels for crop in prepare(*arguments)]


@law
@given(st.integers(32, 200), st.integers(32, 200), st.integers(8, 64), st.integers(1, 5), seeds)
def test_crops_are_square_in_range_and_at_distinct_positions(width, height, resolution, crops, seed):
    taken = cut(ramp(width, height), resolution, crops, seeded(seed))
    assert 1 <= len(taken) <= crops
    for crop in taken:
        assert (crop.shape, crop.dtype) == ((3, resolution, resolution), torch.float32)
        assert crop.min() >= -1
        assert crop.max() <= 1
    assert len(taken) == min(crops, round(abs(width - height) * resolution / min(width, height)) + 1)


@law
@given(st.integers(32, 200), st.integers(32, 200), st.integers(1, 5), seeds)
def test_equal_seeds_give_equal_crops(width, height, crops, seed):
    picture = ramp(width, height)
    again = cut(picture, 16, crops, seeded(seed))
    assert all(torch.equal(a, b) for a, b in zip(cut(picture, 16, crops, seeded(seed)), again, strict=True))


def test_a_crop_spans_the_shorter_side():
    for crop in cut(ramp(300, 100), 50, 8, seeded()):
        red, green = crop[0], crop[1]
        assert float(green[0].mean()) < -0.95
        assert float(green[-1].mean()) > 0.95
        assert float(red[:, -1].mean() - red[:, 0].mean()) == pytest.approx(2 / 3, abs=0.03)


def test_crops_reach_both_ends_of_the_longer_side():
    taken = cut(ramp(100, 200), 32, 64, seeded())
    assert len(taken) == 33
    assert min(float(crop[1].min()) for crop in taken) < -0.98
    assert max(float(crop[1].max()) for crop in taken) > 0.98


def test_a_square_picture_at_the_resolution_is_unchanged():
    picture = ramp(64, 64)
    (crop,) = cut(picture, 64, 4, seeded())
    pixels = ((crop + 1) * 127.5).round().permute(1, 2, 0).numpy().astype(np.uint8)
    assert np.array_equal(pixels, np.asarray(picture))


def test_a_crop_of_a_resized_picture_is_the_resized_picture_cropped():
    picture = Image.effect_noise((256, 128), 60).convert("RGB")
    whole = np.asarray(picture.resize((64, 32), Image.Resampling.BICUBIC)).astype(np.float32) / 127.5 - 1
    windows = [torch.from_numpy(whole[:, left : left + 32]).permute(2, 0, 1) for left in range(33)]
    for crop in cut(picture, 32, 33, seeded()):
        assert min(float((crop - window).abs().max()) for window in windows) <= 1.01 / 127.5


def test_a_very_long_strip_is_not_resized_as_a_whole():
    taken = cut(Image.new("RGB", (20_000, 2), "red"), 768, 2, seeded())
    assert [crop.shape for crop in taken] == [(3, 768, 768)] * 2


def test_a_crops_view_has_the_original_size_and_its_position():
    for crop in prepare(ramp(300, 100), 50, 8, seeded()):
        assert (crop.view.whole_width, crop.view.whole_height) == (300, 100)
        assert (crop.view.top, crop.view.width, crop.view.height) == (0, 50, 50)
        start = 2 * crop.view.left / 150 - 1
        assert float(crop.pixels[0, :, 0].mean()) == pytest.approx(start, abs=0.03)


def saved(picture, kind, **options):
    sink = io.BytesIO()
    picture.save(sink, kind, **options)
    return Image.open(sink)


def palette_with_transparency():
    picture = Image.new("P", (4, 4), 0)
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putpixel((0, 0), 1)
    return saved(picture, "PNG", transparency=1)


def sixteen_bits():
    return saved(Image.fromarray(np.array([[0, 257 * 100], [257 * 200, 65535]], dtype=np.uint16)), "PNG")


def turned():
    picture = Image.new("RGB", (4, 2), "red")
    picture.putpixel((0, 0), (0, 0, 255))
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(picture, "PNG", exif=exif)


@pytest.mark.parametrize(
    ("picture", "size", "position", "colour"),
    [
        (Image.new("RGBA", (4, 4), (255, 0, 0, 0)), (4, 4), (0, 0), (255, 255, 255)),
        (Image.new("RGBA", (4, 4), (0, 0, 0, 51)), (4, 4), (0, 0), (204, 204, 204)),
        (Image.new("LA", (4, 4), (0, 0)), (4, 4), (0, 0), (255, 255, 255)),
        (Image.new("L", (4, 4), 7), (4, 4), (0, 0), (7, 7, 7)),
        (Image.new("1", (4, 4), 1), (4, 4), (0, 0), (255, 255, 255)),
        (Image.new("CMYK", (4, 4), (0, 255, 255, 0)), (4, 4), (0, 0), (255, 0, 0)),
        (palette_with_transparency(), (4, 4), (0, 0), (255, 255, 255)),
        (palette_with_transparency(), (4, 4), (1, 1), (255, 0, 0)),
        (sixteen_bits(), (2, 2), (1, 0), (100, 100, 100)),
        (sixteen_bits(), (2, 2), (0, 1), (200, 200, 200)),
        (turned(), (2, 4), (1, 0), (0, 0, 255)),
    ],
)
def test_every_mode_becomes_upright_rgb_on_white(picture, size, position, colour):
    flat = flatten(picture)
    assert (flat.mode, flat.size, flat.getpixel(position)) == ("RGB", size, colour)


def test_the_templates_are_the_published_ones():
    assert (len(OBJECT_TEMPLATES), len(set(OBJECT_TEMPLATES))) == (27, 27)
    assert (len(STYLE_TEMPLATES), len(set(STYLE_TEMPLATES))) == (19, 17)
    assert all(template.count("{}") == 1 for template in OBJECT_TEMPLATES + STYLE_TEMPLATES)


@pytest.mark.parametrize(
    ("learnable_property", "templates"), [("object", OBJECT_TEMPLATES), ("style", STYLE_TEMPLATES)]
)
def test_a_picture_without_a_caption_has_every_template_of_the_property(learnable_property, templates):
    assert training_prompts(learnable_property, None, lambda _: True) == templates


@law
@given(st.text(max_size=30), st.booleans())
def test_a_training_prompt_always_contains_the_concept_and_the_caption(caption, fits):
    for prompt in training_prompts("object", caption, lambda _: fits):
        assert caption in prompt
        assert "{}" in prompt or "<" in prompt


@pytest.mark.parametrize("caption", ["{} on a sofa", "<my-dog> on a sofa", "＜My Dog＞ on a sofa"])
def test_a_caption_with_the_concept_is_used_verbatim(caption):
    assert training_prompts("object", caption, lambda _: True) == (caption,)


def test_a_caption_without_the_concept_follows_the_templates_that_leave_room_for_it():
    every = training_prompts("style", "boats, at dusk", lambda _: True)
    assert every == tuple(f"{template}, boats, at dusk" for template in STYLE_TEMPLATES)
    short = training_prompts("style", "boats, at dusk", lambda prompt: len(prompt) < 50)
    assert set(short) == {prompt for prompt in every if len(prompt) < 50}
    assert 0 < len(short) < len(every)


def test_a_caption_that_no_template_leaves_room_for_follows_the_bare_concept():
    assert training_prompts("object", "boats", lambda _: False) == ("{}, boats",)


def colours(count, size=(12, 8)):
    return [Image.new("RGB", size, (20 * i, 255 - 20 * i, 90)) for i in range(count)]


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (1, 4), (4, 4), (5, 4), (8, 3)])
@pytest.mark.parametrize("labelled", [False, True])
def test_a_contact_sheet_contains_every_picture_in_reading_order(count, columns, labelled):
    pictures = colours(count)
    sheet = contact_sheet(pictures, columns, [str(i) for i in range(count)] if labelled else None)
    found = [np.argwhere((np.asarray(sheet) == picture.getpixel((0, 0))).all(axis=-1)) for picture in pictures]
    assert [len(pixels) for pixels in found] == [12 * 8] * count
    corners = [tuple(pixels[0]) for pixels in found]
    assert corners == sorted(corners)
    assert len({left for _, left in corners}) == min(count, columns)


def test_a_label_is_under_its_picture_and_clipped_to_its_cell():
    pictures = colours(2, size=(40, 20))
    plain = np.asarray(contact_sheet(pictures, 2, ["", ""]))
    marked = np.asarray(contact_sheet(pictures, 2, ["a label far too long for its cell", ""]))
    rows, columns = np.nonzero((plain != marked).any(axis=-1))
    assert len(rows)
    assert rows.min() >= 24
    assert columns.max() < 4 + 40


def test_an_empty_sheet_or_animation_is_refused():
    with pytest.raises(NoPicturesError):
        contact_sheet([], 3)
    with pytest.raises(NoPicturesError):
        to_animation([], "gif")


def decoded(data, kind):
    if kind == "mp4":
        with av.open(io.BytesIO(data)) as container:
            return [frame.to_image() for frame in container.decode(video=0)]
    with Image.open(io.BytesIO(data)) as picture:
        return [frame.convert("RGB") for frame in ImageSequence.all_frames(picture)]


@pytest.mark.parametrize("size", [(64, 64), (33, 17)])
@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_an_animation_shows_every_frame_in_order(kind, size):
    frames = colours(6, size)
    shown = decoded(to_animation(frames, kind), kind)
    assert len(shown) == 6
    for frame, picture in zip(frames, shown, strict=True):
        middle = size[0] // 2, size[1] // 2
        off = np.abs(np.array(picture.getpixel(middle)) - np.array(frame.getpixel(middle)))
        assert off.max() <= (8 if kind == "mp4" else 0)


@pytest.mark.parametrize("kind", ["gif", "webp"])
def test_gif_and_webp_animations_loop_endlessly(kind):
    with Image.open(io.BytesIO(to_animation(colours(2), kind))) as picture:
        assert picture.info["loop"] == 0


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_equal_frames_give_equal_bytes(kind):
    assert to_animation(colours(3), kind) == to_animation(colours(3), kind)


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_one_frame_is_an_animation_too(kind):
    assert len(decoded(to_animation(colours(1, (16, 16)), kind), kind)) == 1


def test_frames_of_different_sizes_are_refused():
    with pytest.raises(PictureError, match="one size"):
        to_animation([*colours(1, (16, 16)), *colours(1, (16, 8))], "webp")


def test_animations_run_at_eight_frames_a_second():
    with av.open(io.BytesIO(to_animation(colours(8, (16, 16)), "mp4"))) as container:
        times = [float(frame.time) for frame in container.decode(video=0)]
    assert [later - earlier for earlier, later in itertools.pairwise(times)] == pytest.approx([0.125] * 7)
