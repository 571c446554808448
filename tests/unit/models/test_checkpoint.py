"""The checkpoint that is shipped."""

import numpy as np
import pytest
import torch

from dti.models.tiny import CHECKPOINT
from dti.models.tiny.checkpoint import read_pipeline
from tools.tiny.artwork import OBJECTS
from tools.tiny.autoencoder import to_unit
from tools.tiny.dataset import make_picture
from tools.tiny.report import exam, score
from tools.tiny.residual import position_attenuation, row_norms, update_ratio
from tools.tiny.scorer import FEATURES, load_scorer
from tools.tiny.scorer.training import accuracy
from tools.tiny.vocabulary import build_tokenizer, trained_ids

CPU = torch.device("cpu")
LIMIT_BYTES = 12_000_000
UNSEEN_SEED = 99


@pytest.fixture(scope="module")
def pipeline():
    return read_pipeline(CHECKPOINT, CPU)


@pytest.fixture(scope="module")
def unseen():
    made = [make_picture(UNSEEN_SEED, number) for number in range(200)]
    return np.stack([picture for _, picture in made]), [scene for scene, _ in made]


def test_it_is_small():
    assert sum(file.stat().st_size for file in CHECKPOINT.rglob("*") if file.is_file()) <= LIMIT_BYTES


def test_its_tokenizer_is_the_one_that_the_recipe_builds(pipeline):
    assert pipeline.tokenizer.get_vocab() == build_tokenizer().get_vocab()


def test_only_rows_of_caption_words_are_there(pipeline):
    rows = pipeline.text_encoder.get_input_embeddings().weight
    assert (rows.norm(dim=1) > 0).nonzero()[:, 0].tolist() == trained_ids(pipeline.tokenizer)


def test_its_text_model_treats_rows_as_a_pretrained_one_does(pipeline):
    text_model, tokenizer = pipeline.text_encoder, pipeline.tokenizer
    mean, deviation = row_norms(text_model)
    assert deviation < mean / 2
    assert 1 < update_ratio(text_model, tokenizer, list(OBJECTS)) < 10
    likeness = position_attenuation(text_model, tokenizer, list(OBJECTS))
    assert list(likeness.values()) == sorted(likeness.values())


@torch.no_grad()
def test_its_autoencoder_gives_pictures_back(pipeline, unseen):
    pictures = to_unit(unseen[0][:50])
    rebuilt = pipeline.vae.decode(pipeline.vae.encode(pictures).latents).sample
    assert -10 * np.log10(float((rebuilt - pictures).pow(2).mean()) / 4) > 22


def test_the_scorer_names_unseen_pictures_right(unseen):
    shares = accuracy(load_scorer(), *unseen)
    assert min(shares.values()) > 0.9


def test_the_scorer_describes_a_picture_by_its_features(unseen):
    features = load_scorer().features(to_unit(unseen[0][:3]))
    assert features.shape == (3, FEATURES)
    assert (features >= 0).all()


def test_the_exam_is_always_the_same():
    assert exam(5, 1) == exam(5, 1)
    assert exam(5, 1) != exam(5, 2)


def test_pictures_show_what_was_asked_for(pipeline):
    shares = score(pipeline, load_scorer(), 40, seed=7)
    assert shares["background"] > 0.85
    assert shares["subject"] > 0.75
    assert shares["colour"] > 0.85
