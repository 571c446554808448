import io
import json

import numpy as np
import pytest
from PIL import Image

from worker.encoding import CONTENT_TYPES, encode

FACTS = {"prompt": "a photo of <my-dog> in Zürich", "seed": "7", "model": "tiny", "concepts": "my-dog"}


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8))


@pytest.mark.parametrize("picture_format", ["png", "webp", "jpeg"])
def test_the_same_picture_and_facts_give_the_same_bytes(picture_format):
    assert encode(noise(), picture_format, FACTS) == encode(noise(), picture_format, dict(FACTS))


@pytest.mark.parametrize("picture_format", ["png", "webp", "jpeg"])
def test_a_file_is_of_the_format_and_size_that_it_says(picture_format):
    made = encode(noise(), picture_format, FACTS)
    read = Image.open(io.BytesIO(made.data))
    assert (read.format.lower(), read.size) == (picture_format, (48, 32))
    assert (made.width, made.height) == (48, 32)
    assert made.content_type == CONTENT_TYPES[picture_format] == Image.MIME[read.format]


def test_png_keeps_every_pixel_and_says_how_it_was_made_in_text():
    read = Image.open(io.BytesIO(encode(noise(), "png", FACTS).data))
    assert np.array_equal(np.asarray(read), np.asarray(noise()))
    assert read.text == FACTS


@pytest.mark.parametrize("picture_format", ["webp", "jpeg"])
def test_lossy_formats_say_how_they_were_made_in_exif(picture_format):
    read = Image.open(io.BytesIO(encode(noise(), picture_format, FACTS).data))
    assert json.loads(read.getexif()[0x010E]) == FACTS


def test_other_facts_give_other_bytes():
    assert encode(noise(), "png", FACTS).data != encode(noise(), "png", {**FACTS, "seed": "8"}).data
