import io
import json
from dataclasses import replace

import av
import numpy as np
import pytest
import sd_parsers
from PIL import ExifTags, Image

from dti.pictures import to_animation
from dti.spec.registry import FAMILIES
from worker.outputs.encoding import CONTENT_TYPES, encode
from worker.outputs.plans import of_all
from worker.outputs.provenance import Provenance

MADE = Provenance(
    prompt="a photo of <my-dog> in Zürich,\nat Steps: 3",
    negative_prompt="rain, <my-cat>",
    seed=2**53 - 17,
    steps=20,
    guidance_scale=7.5,
    scheduler="dpmpp_2m",
    width=48,
    height=32,
    model="tiny",
    fingerprint="0123456789abcdef" * 4,
    concepts={"my-dog": "ab" * 32, "my-cat": "cd" * 32},
)
FORMATS = ("png", "webp", "jpeg")


def noise():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8))


def parsed(data):
    """What an independent reader of AUTOMATIC1111's pictures makes of a file."""
    return sd_parsers.ParserManager().parse(io.BytesIO(data))


@pytest.mark.parametrize("picture_format", FORMATS)
def test_the_same_picture_made_alike_gives_the_same_bytes(picture_format):
    assert encode(noise(), picture_format, MADE) == encode(noise(), picture_format, replace(MADE))


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_file_is_of_the_format_and_size_that_it_says(picture_format):
    made = encode(noise(), picture_format, MADE)
    read = Image.open(io.BytesIO(made.data))
    assert (read.format.lower(), read.size) == (picture_format, (48, 32))
    assert (made.width, made.height) == (48, 32)
    assert made.content_type == CONTENT_TYPES[picture_format] == Image.MIME[read.format]


def test_png_keeps_every_pixel():
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(encode(noise(), "png", MADE).data))), np.asarray(noise()))


@pytest.mark.parametrize("picture_format", FORMATS)
def test_readers_of_automatic1111s_pictures_read_ours(picture_format):
    read = parsed(encode(noise(), picture_format, MADE).data)
    assert read.generator.name == "AUTOMATIC1111"
    (sampler,) = read.samplers
    assert [prompt.value for prompt in sampler.prompts] == [MADE.prompt]
    assert [prompt.value for prompt in sampler.negative_prompts] == [MADE.negative_prompt]
    assert sampler.name == "DPM++ 2M"
    assert sampler.parameters == {"steps": "20", "cfg_scale": "7.5", "seed": str(2**53 - 17)}
    assert (sampler.model.name, sampler.model.hash) == ("tiny", "0123456789")
    assert read.metadata["Size"] == "48x32"
    last = read.raw_parameters["parameters"].splitlines()[-1]
    assert f'TI hashes: "my-dog: {"ab" * 6}, my-cat: {"cd" * 6}"' in last


@pytest.mark.parametrize("picture_format", FORMATS)
def test_the_file_says_exactly_how_it_was_made_as_json(picture_format):
    read = Image.open(io.BytesIO(encode(noise(), picture_format, MADE).data))
    said = read.text["dti"] if picture_format == "png" else read.getexif()[ExifTags.Base.ImageDescription]
    exact = json.loads(said)
    assert {name: exact[name] for name in ("prompt", "seed", "fingerprint", "concepts")} == {
        "prompt": MADE.prompt,
        "seed": MADE.seed,
        "fingerprint": MADE.fingerprint,
        "concepts": MADE.concepts,
    }
    assert exact["version"]


def test_what_was_made_otherwise_has_other_bytes():
    assert encode(noise(), "png", MADE).data != encode(noise(), "png", replace(MADE, seed=8)).data


def test_without_a_negative_prompt_and_concepts_nothing_is_said_of_them():
    plain = replace(MADE, negative_prompt="", concepts={"still-learned": None}).parameters()
    assert "Negative" not in plain
    assert "TI hashes" not in plain


def test_a_model_whose_name_has_signs_of_the_format_does_not_break_it():
    read = parsed(encode(noise(), "png", replace(MADE, model="folder:of, mine")).data)
    assert read.samplers[0].parameters["steps"] == "20"
    assert 'Model: "folder:of, mine"' in read.raw_parameters["parameters"]


@pytest.mark.parametrize("scheduler", sorted({name for family in FAMILIES.values() for name in family.schedulers}))
def test_every_scheduler_has_the_name_by_which_readers_know_it(scheduler):
    assert f"Sampler: {scheduler}," not in replace(MADE, scheduler=scheduler).parameters()


def note_of(data, kind):
    if kind == "mp4":
        with av.open(io.BytesIO(data)) as container:
            return container.metadata["comment"]
    with Image.open(io.BytesIO(data)) as picture:
        if kind == "gif":
            return picture.info["comment"].decode()
        return picture.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment][8:].decode("utf-16-be")


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_animations_say_how_they_were_made_and_the_same_each_time(kind):
    walk = of_all(replace(MADE, more={"share": 0.0, "mixing": "slerp"}), [0.0, 0.5, 1.0])
    frames = [noise(), noise().rotate(180)]
    data = to_animation(frames, kind, walk.parameters())
    assert note_of(data, kind) == walk.parameters()
    assert 'DTI share: "0, 0.5, 1", DTI mixing: slerp' in walk.parameters()
    assert data == to_animation(frames, kind, walk.parameters())
