import json
from dataclasses import replace

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from dti.errors import EmbeddingMismatchError, InvalidSettingError
from dti.families.base import best_dtype
from dti.pictures import View
from dti.spec.prompts import parse_prompt
from dti.tokens import Placeholder, tokenize
from tests.unit.dti.works import concept, conditioning, evenly, generators, random_pixels


def test_a_pictures_loss_does_not_depend_on_its_batch(family):
    latents = family.encode(random_pixels(3)).mean
    prompts = ["a photo of the dog", "a red cat", "a painting"]
    together = family.loss(latents, evenly(latents), conditioning(family, *prompts), generators(1, 2, 3))
    alone = [
        family.loss(latents[i : i + 1], evenly(latents[:1]), conditioning(family, prompt), generators(i + 1))
        for i, prompt in enumerate(prompts)
    ]
    assert together.shape == (3,)
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_gradients_reach_the_rows_of_every_encoder_and_nothing_of_the_model(family):
    rows = {name: torch.randn(1, encoder.width, requires_grad=True) for name, encoder in family.encoders.items()}
    placeholder = Placeholder("dog", dict.fromkeys(rows, 1))
    tokenized = tokenize(parse_prompt("a photo of <my-dog>"), family.encoders, {"my-dog": placeholder})
    read = family.condition([tokenized.splice({"my-dog": rows})], [View.whole(32, 32)])
    latents = family.encode(random_pixels(1)).mean
    family.loss(latents, evenly(latents), read, generators(0)).sum().backward()
    assert all(row.grad.abs().sum() > 0 for row in rows.values())
    assert all(
        not weight.requires_grad and weight.grad is None for part in family.networks for weight in part.parameters()
    )


def test_a_posterior_is_resampled_and_point_codes_are_constant(family):
    distribution = family.encode(random_pixels(2))
    one, again, other = (distribution.sample(generator) for generator in generators(1, 1, 2))
    assert torch.equal(one, again)
    assert torch.equal(one, other) == (distribution.std is None)


def test_decoding_gives_pictures_of_the_size_of_the_latents(family):
    latents = torch.randn(5, *family.latent_shape(40, 32), generator=torch.Generator().manual_seed(0))
    pictures = family.decode(latents)
    assert [(picture.size, picture.mode) for picture in pictures] == [((40, 32), "RGB")] * 5


def test_a_size_that_latents_cannot_represent_is_refused(family):
    with pytest.raises(InvalidSettingError, match=f"height: 33 is no multiple of {family.size_multiple_px}"):
        family.check_size(width=32, height=33)


def test_the_model_card_suffices_to_check_prompts_and_rows(family):
    card = json.loads(json.dumps(family.card()))
    assert card["fingerprint"] == family.fingerprint
    for name, encoder in family.encoders.items():
        facts, norms = card["encoders"][name], encoder.vocabulary.norm(dim=1)
        assert facts["zero_rows"] == [token for token, norm in enumerate(norms) if norm == 0]
        assert (facts["width"], facts["token_limit"]) == (encoder.width, encoder.frame.token_limit)
        assert facts["magnitude"] == pytest.approx(float(norms[norms > 0].mean()), rel=1e-5)
        words = Tokenizer.from_str(facts["tokenizer"]).encode("a photo of the dog", add_special_tokens=False).ids
        assert words == encoder.text_ids("a photo of the dog")


def test_a_large_tokenizer_is_omitted_from_the_card(plain_family, monkeypatch):
    (encoder,) = plain_family.encoders.values()
    monkeypatch.setattr(encoder, "tokenizer", Tokenizer(WordLevel({f"word{i}": i for i in range(2**16 + 1)})))
    (facts,) = plain_family.card()["encoders"].values()
    assert facts["tokenizer"] is None
    assert facts["token_limit"] == encoder.frame.token_limit


def test_a_concept_of_other_weights_is_refused(family):
    with pytest.raises(EmbeddingMismatchError, match="fingerprint"):
        family.check_fits(replace(concept(family), fingerprint="0" * 16))


def test_a_cpu_gets_full_precision():
    assert best_dtype(torch.device("cpu")) == torch.float32
