"""Judges on small random checkpoints of the real classes."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    BitImageProcessor,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    CLIPTokenizer,
    Dinov2Config,
    Dinov2Model,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

from dti.errors import StudyError
from dti.models.tiny import CHECKPOINT
from dti.study.judges import ImageFeatures, Request, TextImage, open_judge
from dti.study.manifest import Concept

SMALL = {"hidden_size": 32, "intermediate_size": 37, "num_hidden_layers": 2, "num_attention_heads": 4}
VISION = {**SMALL, "image_size": 28, "patch_size": 14}
SQUARE = {"height": 28, "width": 28}
CONCEPT = Concept("cat", "cat", "report", ())
RED, BLUE = (Image.new("RGB", (40, 40), colour) for colour in ("red", "blue"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("judges")


@pytest.fixture(scope="module")
def dinov2(folder):
    torch.manual_seed(0)
    Dinov2Model(Dinov2Config(**{**VISION, "mlp_ratio": 2})).save_pretrained(folder / "dinov2")
    BitImageProcessor(size={"shortest_edge": 28}, crop_size=SQUARE).save_pretrained(folder / "dinov2")
    return ImageFeatures(str(folder / "dinov2"), "dinov2", "cpu")


def text_image(folder, name, model, processor, *, sigmoid):
    tokenizer = CLIPTokenizer.from_pretrained(CHECKPOINT / "tokenizer")
    for part in (model, processor, tokenizer):
        part.save_pretrained(folder / name)
    return TextImage(str(folder / name), name, "cpu", sigmoid=sigmoid)


@pytest.fixture(scope="module")
def texts():
    tokenizer = CLIPTokenizer.from_pretrained(CHECKPOINT / "tokenizer")
    ids = {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
    return {**SMALL, "vocab_size": len(tokenizer), "max_position_embeddings": 24, **ids}


@pytest.fixture(scope="module")
def clip(folder, texts):
    torch.manual_seed(1)
    model = CLIPModel(CLIPConfig(text_config=texts, vision_config=VISION, projection_dim=32))
    processor = CLIPImageProcessor(size={"shortest_edge": 28}, crop_size=SQUARE)
    return text_image(folder, "clip", model, processor, sigmoid=False)


@pytest.fixture(scope="module")
def siglip(folder, texts):
    torch.manual_seed(2)
    model = SiglipModel(SiglipConfig(text_config=texts, vision_config=VISION))
    processor = SiglipImageProcessor(size=SQUARE)
    return text_image(folder, "siglip", model, processor, sigmoid=True)


@pytest.mark.parametrize("name", ["dinov2", "clip", "siglip"])
def test_a_reference_is_its_own_nearest_picture(name, request):
    judge = request.getfixturevalue(name)
    judge.begin(CONCEPT, [RED])
    same, other = judge.score([RED, BLUE], [Request("a cat", {})] * 2)
    assert same[f"{name}_image"] == pytest.approx(1, abs=1e-5)
    assert other[f"{name}_image"] < same[f"{name}_image"]


def test_masked_references_are_compared_without_their_background(dinov2):
    pixels = np.zeros((40, 40, 4), np.uint8)
    pixels[..., 0] = 255
    pixels[10:30, 10:30, 3] = 255
    dinov2.begin(CONCEPT, [Image.fromarray(pixels)])
    (row,) = dinov2.score([RED], [Request("a cat", {})])
    assert row["dinov2_image"] == pytest.approx(1, abs=1e-5)
    assert row["dinov2_image_masked"] < 1


def test_siglips_text_score_is_the_sigmoid_of_its_own_logit(siglip, folder):
    siglip.begin(CONCEPT, [RED])
    (row,) = siglip.score([BLUE], [Request("a photo of a cat", {})])
    model = SiglipModel.from_pretrained(folder / "siglip").eval()
    processor = SiglipImageProcessor.from_pretrained(folder / "siglip")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "siglip")
    ids = tokenizer(["a photo of a cat"], padding="max_length", max_length=24, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        logit = model(input_ids=ids, pixel_values=processor(BLUE, return_tensors="pt")["pixel_values"]).logits_per_image
    assert row["siglip_logit"] == pytest.approx(float(logit), abs=1e-4)
    assert row["siglip_sigmoid"] == pytest.approx(float(logit.sigmoid()), abs=1e-5)


def test_clips_logit_is_its_models_own(clip, folder):
    clip.begin(CONCEPT, [RED])
    (row,) = clip.score([BLUE], [Request("a cat on the beach", {})])
    model = CLIPModel.from_pretrained(folder / "clip").eval()
    processor = CLIPImageProcessor.from_pretrained(folder / "clip")
    inputs = CLIPTokenizer.from_pretrained(folder / "clip")(["a cat on the beach"], return_tensors="pt")
    with torch.inference_mode():
        logit = model(**inputs, pixel_values=processor(BLUE, return_tensors="pt")["pixel_values"]).logits_per_image
    assert row["clip_logit"] == pytest.approx(float(logit), abs=1e-3)


@pytest.mark.parametrize("name", ["vibes", "dti.study.judges:Missing", "no_such_module:Judge"])
def test_an_unknown_judge_is_refused_by_name(name):
    with pytest.raises(StudyError, match=name.partition(":")[0]):
        open_judge(name)
