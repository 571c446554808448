"""Files as other tools write them, built with the libraries that those tools use."""

import io
import zipfile

import pytest
import safetensors.torch
import torch
from torch import nn

from dti.formats import detect_and_read

ROWS = torch.arange(1.0, 17.0).reshape(2, 8) / 10
OTHER = torch.arange(3.0, 27.0).reshape(2, 12) / 10


def pickled(content, **options):
    sink = io.BytesIO()
    torch.save(content, sink, **options)
    return sink.getvalue()


def archived(files, compression=zipfile.ZIP_DEFLATED):
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return sink.getvalue()


def web_ui(params, **more):
    return pickled({"string_to_token": {"*": 265}, "string_to_param": params, **more})


st_file = safetensors.torch.save

FILES = {
    "diffusers, safetensors": (st_file({"<my-dog>": ROWS}, {"format": "pt"}), "diffusers", "my-dog", {None: ROWS}),
    "diffusers, bin": (pickled({"<my-dog>": ROWS}), "diffusers", "my-dog", {None: ROWS}),
    "diffusers, a parameter": (pickled({"<my-dog>": nn.Parameter(ROWS)}), "diffusers", "my-dog", {None: ROWS}),
    "diffusers, before PyTorch 1.6": (
        pickled({"<my-dog>": ROWS}, _use_new_zipfile_serialization=False),
        "diffusers",
        "my-dog",
        {None: ROWS},
    ),
    "diffusers, one row without a second axis": (pickled({"sks": ROWS[0]}), "diffusers", "sks", {None: ROWS[:1]}),
    "diffusers, a file per encoder": (
        archived(
            {
                "learned_embeds.safetensors": st_file({"<my-dog>": ROWS}),
                "learned_embeds_2.safetensors": st_file({"<my-dog>": OTHER}),
                "README.md": b"how it was made",
            }
        ),
        "diffusers",
        "my-dog",
        {"text_encoder": ROWS, "text_encoder_2": OTHER},
    ),
    "diffusers, a file per encoder, in a folder, at a step, as pickles": (
        archived(
            {
                "run/learned_embeds_2-steps-500.bin": pickled({"<my-dog>": OTHER}),
                "run/learned_embeds-steps-500.bin": pickled({"<my-dog>": ROWS}),
            }
        ),
        "diffusers",
        "my-dog",
        {"text_encoder": ROWS, "text_encoder_2": OTHER},
    ),
    "web UI, pt": (
        web_ui({"*": ROWS}, name="my-dog", step=500, sd_checkpoint="e3b0", sd_checkpoint_name="v1-5"),
        "a1111",
        "my-dog",
        {None: ROWS},
    ),
    "the first release's ParameterDict": (
        web_ui(nn.ParameterDict({"*": nn.Parameter(ROWS)})),
        "a1111",
        None,
        {None: ROWS},
    ),
    "web UI and kohya, safetensors": (st_file({"emb_params": ROWS}), "a1111", None, {None: ROWS}),
    "ComfyUI and kohya, two encoders": (
        st_file({"clip_g": OTHER, "clip_l": ROWS}),
        "comfyui",
        None,
        {"text_encoder": ROWS, "text_encoder_2": OTHER},
    ),
    "ComfyUI, a language model": (st_file({"gemma2_2b": OTHER}), "comfyui", None, {"text_encoder": OTHER}),
    "ComfyUI, an encoder that no family has": (
        st_file({"clip_l": ROWS, "t5xxl": OTHER}),
        "comfyui",
        None,
        {"text_encoder": ROWS, "t5xxl": OTHER},
    ),
    "Replicate": (
        st_file({"text_encoders_0": ROWS, "text_encoders_1": OTHER}),
        "replicate",
        None,
        {"text_encoder": ROWS, "text_encoder_2": OTHER},
    ),
}


@pytest.mark.parametrize(("data", "tool", "trigger", "vectors"), FILES.values(), ids=FILES)
def test_a_file_is_detected_by_its_content(data, tool, trigger, vectors):
    found = detect_and_read(data)
    assert (found.format, found.trigger) == (tool, trigger)
    assert found.vectors.keys() == vectors.keys()
    assert all(torch.equal(found.vectors[name], rows) for name, rows in vectors.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("file", [st_file, pickled])
def test_half_precision_is_read_as_float32(file, dtype):
    (rows,) = detect_and_read(file({"<my-dog>": ROWS.to(dtype)})).vectors.values()
    assert rows.dtype == torch.float32
    assert torch.equal(rows, ROWS.to(dtype).float())


def test_rows_read_from_a_file_are_detached_and_contiguous():
    (rows,) = detect_and_read(pickled({"<my-dog>": nn.Parameter(ROWS.T.contiguous()).T})).vectors.values()
    assert not rows.requires_grad
    assert rows.is_contiguous()
    assert torch.equal(rows, ROWS)


@pytest.mark.parametrize("name", ["", "x" * 1000, "two\nlines", "\0"])
@pytest.mark.parametrize(
    "file", [lambda name: pickled({f"<{name}>": ROWS}), lambda name: web_ui({"*": ROWS}, name=name)]
)
def test_an_unusable_name_is_dropped(name, file):
    assert detect_and_read(file(name)).trigger is None
