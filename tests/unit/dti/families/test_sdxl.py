"""SDXL only: two encoders, the pooled vector, size and crop conditioning, empty prompts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dti.families import load
from dti.pictures import View
from dti.spec.prompts import parse_prompt
from dti.tokens import Placeholder, tokenize
from tests.checkpoints.sdxl import WIDTH_2, stable_diffusion_xl
from tests.checkpoints.stable_diffusion import PROJECTION, WIDTH
from tests.unit.dti.works import concept, conditioning, picture_work, rendered, trained, training_work


@pytest.fixture(scope="module")
def family(xl):
    return load("sdxl", xl)


@pytest.fixture(scope="module")
def legacy(tmp_path_factory):
    """The same weights, with configurations that call the end token 2."""
    return load("sdxl", stable_diffusion_xl(tmp_path_factory.mktemp("legacy"), legacy_eos=True, silence_is_zero=False))


def read(family, prompt, rows=None, view=None):
    encoders = family.encoders
    placeholder = {"my-dog": Placeholder("dog", {name: len(rows[name]) for name in encoders})} if rows else {}
    tokenized = tokenize(parse_prompt(prompt), encoders, placeholder)
    with torch.no_grad():
        return family.condition([tokenized.splice({"my-dog": rows} if rows else {})], [view or View.whole(32, 32)])


def rows_of(family, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(2, encoder.width, generator=generator) for name, encoder in family.encoders.items()}


def test_both_encoders_hidden_states_are_concatenated(family):
    given = read(family, "a cat")
    tokens = family.encoders["text_encoder"].frame.limit
    assert {name: tuple(tensor.shape) for name, tensor in given.items()} == {
        "hidden": (1, tokens, WIDTH + WIDTH_2),
        "pooled": (1, PROJECTION),
        "sizes": (1, 6),
    }


def test_each_encoder_has_its_own_rows(family):
    rows = rows_of(family)
    before = read(family, "a photo of <my-dog>", rows)
    for name, changed, same in (
        ("text_encoder", slice(0, WIDTH), slice(WIDTH, None)),
        ("text_encoder_2", slice(WIDTH, None), slice(0, WIDTH)),
    ):
        after = read(family, "a photo of <my-dog>", rows | {name: -rows[name]})
        assert not torch.allclose(before["hidden"][..., changed], after["hidden"][..., changed])
        assert torch.equal(before["hidden"][..., same], after["hidden"][..., same])
        assert torch.equal(before["pooled"], after["pooled"]) == (name == "text_encoder")


def test_the_pooled_vector_is_the_end_tokens_whatever_its_configured_id(family, legacy):
    for prompt in ("a photo of <my-dog>", "<my-dog> on the beach", "a red cat and <my-dog>"):
        rows = rows_of(family)
        torch.testing.assert_close(read(family, prompt, rows)["pooled"], read(legacy, prompt, rows)["pooled"])


def test_each_encoders_rows_have_that_vocabularys_magnitude(family):
    run = trained(family, training_work(steps=2))
    for name, rows in run.embedding().rows.items():
        norms = family.encoders[name].vocabulary.norm(dim=1)
        assert rows.magnitude.flatten().tolist() == pytest.approx([float(norms[norms > 0].mean())], rel=1e-5)


def test_the_denoiser_is_conditioned_on_size_and_crop(family):
    view = View(whole_width=900, whole_height=768, left=70, top=0, width=768, height=768)
    assert read(family, "a cat", view=view)["sizes"].tolist() == [[768, 900, 0, 70, 768, 768]]


def test_a_crop_is_trained_with_its_own_position(family, monkeypatch):
    views_seen, condition = [], family.condition

    def listening(prompts, views):
        views_seen.extend(views)
        return condition(prompts, views)

    monkeypatch.setattr(family, "condition", listening)
    trained(family, training_work(steps=3))
    assert {(view.width, view.height, view.whole_width, view.whole_height) for view in views_seen} == {(32, 32, 40, 34)}
    assert len({view.left for view in views_seen}) > 1


def test_an_empty_prompt_is_all_zeros_only_if_the_checkpoint_is_configured_so(family, legacy):
    for silent in ("", "  "):
        given = read(family, silent)
        assert given["hidden"].abs().sum() == given["pooled"].abs().sum() == 0
        assert read(legacy, silent)["hidden"].abs().sum() > 0
    assert read(family, "a")["pooled"].abs().sum() > 0


def test_an_empty_prompt_does_not_affect_its_batch(family):
    together, alone = conditioning(family, "a cat", ""), conditioning(family, "a cat")
    torch.testing.assert_close(together["hidden"][:1], alone["hidden"], atol=1e-6, rtol=0)


def test_size_conditioning_changes_the_picture(family):
    """Without conditioning on sizes the same latents at the same place would be denoised alike."""
    work = picture_work(family, concepts={"my-dog": concept(family)})
    small, wide = rendered(family, work)[0], rendered(family, replace(work, width=64))[0]
    assert small.shape == (32, 32, 3)
    assert wide.shape == (32, 64, 3)
    seen = {name: read(family, "a cat", view=View.whole(*size)) for name, size in (("s", (32, 32)), ("w", (64, 32)))}
    latents = torch.zeros(1, *family.latent_shape(32, 32))
    outputs = [family.predict(latents, torch.tensor([500]), given) for given in seen.values()]
    assert np.abs((outputs[0] - outputs[1]).detach().numpy()).max() > 0
