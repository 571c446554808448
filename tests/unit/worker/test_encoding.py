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
from worker.outputs.plans import sequence_provenance
from worker.outputs.provenance import Provenance

PROVENANCE = Provenance(
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
    """A file as parsed by an independent reader of AUTOMATIC1111's pictures."""
    return sd_parsers.ParserManager().parse(io.BytesIO(data))


@pytest.mark.parametrize("picture_format", FORMATS)
def test_the_same_picture_and_provenance_give_the_same_bytes(picture_format):
    assert encode(noise(), picture_format, PROVENANCE) == encode(noise(), picture_format, replace(PROVENANCE))


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_file_has_the_declared_format_and_size(picture_format):
    file = encode(noise(), picture_format, PROVENANCE)
    read = Image.open(io.BytesIO(file.data))
    assert (read.format.lower(), read.size) == (picture_format, (48, 32))
    assert (file.width, file.height) == (48, 32)
    assert file.content_type == CONTENT_TYPES[picture_format] == Image.MIME[read.format]


def test_png_keeps_every_pixel():
    assert np.array_equal(
        np.asarray(Image.open(io.BytesIO(encode(noise(), "png", PROVENANCE).data))), np.asarray(noise())
    )


@pytest.mark.parametrize("picture_format", FORMATS)
def test_readers_of_automatic1111s_pictures_parse_the_infotext(picture_format):
    read = parsed(encode(noise(), picture_format, PROVENANCE).data)
    assert read.generator.name == "AUTOMATIC1111"
    (sampler,) = read.samplers
    assert [prompt.value for prompt in sampler.prompts] == [PROVENANCE.prompt]
    assert [prompt.value for prompt in sampler.negative_prompts] == [PROVENANCE.negative_prompt]
    assert sampler.name == "DPM++ 2M"
    assert sampler.parameters == {"steps": "20", "cfg_scale": "7.5", "seed": str(2**53 - 17)}
    assert (sampler.model.name, sampler.model.hash) == ("tiny", "0123456789")
    assert read.metadata["Size"] == "48x32"
    last = read.raw_parameters["parameters"].splitlines()[-1]
    assert f'TI hashes: "my-dog: {"ab" * 6}, my-cat: {"cd" * 6}"' in last


@pytest.mark.parametrize("picture_format", FORMATS)
def test_a_file_has_its_exact_provenance_as_json(picture_format):
    read = Image.open(io.BytesIO(encode(noise(), picture_format, PROVENANCE).data))
    text = read.text["dti"] if picture_format == "png" else read.getexif()[ExifTags.Base.ImageDescription]
    exact = json.loads(text)
    assert {name: exact[name] for name in ("prompt", "seed", "fingerprint", "concepts")} == {
        "prompt": PROVENANCE.prompt,
        "seed": PROVENANCE.seed,
        "fingerprint": PROVENANCE.fingerprint,
        "concepts": PROVENANCE.concepts,
    }
    assert exact["version"]


def test_another_provenance_gives_other_bytes():
    assert encode(noise(), "png", PROVENANCE).data != encode(noise(), "png", replace(PROVENANCE, seed=8)).data


def test_an_absent_negative_prompt_and_concepts_in_training_are_left_out():
    plain = replace(PROVENANCE, negative_prompt="", concepts={"still-learned": None}).infotext()
    assert "Negative" not in plain
    assert "TI hashes" not in plain


def test_delimiters_in_a_models_name_do_not_break_the_infotext():
    read = parsed(encode(noise(), "png", replace(PROVENANCE, model="folder:of, mine")).data)
    assert read.samplers[0].parameters["steps"] == "20"
    assert 'Model: "folder:of, mine"' in read.raw_parameters["parameters"]


@pytest.mark.parametrize("scheduler", sorted({name for family in FAMILIES.values() for name in family.schedulers}))
def test_every_scheduler_has_automatic1111s_name_of_the_sampler(scheduler):
    assert f"Sampler: {scheduler}," not in replace(PROVENANCE, scheduler=scheduler).infotext()


def comment_of(data, kind):
    if kind == "mp4":
        with av.open(io.BytesIO(data)) as container:
            return container.metadata["comment"]
    with Image.open(io.BytesIO(data)) as picture:
        if kind == "gif":
            return picture.info["comment"].decode()
        return picture.getexif().get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment][8:].decode("utf-16-be")


@pytest.mark.parametrize("kind", ["gif", "webp", "mp4"])
def test_animations_have_their_provenance_and_the_same_bytes_every_time(kind):
    provenance = sequence_provenance(replace(PROVENANCE, more={"share": 0.0, "mixing": "slerp"}), [0.0, 0.5, 1.0])
    frames = [noise(), noise().rotate(180)]
    data = to_animation(frames, kind, provenance.infotext())
    assert comment_of(data, kind) == provenance.infotext()
    assert 'DTI share: "0, 0.5, 1", DTI mixing: slerp' in provenance.infotext()
    assert data == to_animation(frames, kind, provenance.infotext())
