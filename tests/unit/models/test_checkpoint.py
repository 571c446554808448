"""The checkpoint and the judges that are shipped."""

import numpy as np
import pytest
import torch

from dti.models.tiny import CHECKPOINT
from dti.models.tiny.checkpoint import read_pipeline
from tools.tiny.acceptance import SINGLE, Examiner, questions
from tools.tiny.artwork import HELD_OUT_SETS, OBJECTS, TRAINED_SETS
from tools.tiny.autoencoder import to_unit
from tools.tiny.captions import vocabulary
from tools.tiny.concepts import CONCEPTS, true_pictures
from tools.tiny.dataset import make_picture
from tools.tiny.residual import position_attenuation, row_norms, update_ratio
from tools.tiny.scorer.network import FEATURES, LOOK_WEIGHTS, load_look_scorer, load_scorer
from tools.tiny.scorer.training import accuracy, false_alarms
from tools.tiny.vocabulary import POSITIONS, build_tokenizer

CPU = torch.device("cpu")
LIMIT_BYTES = 16_000_000
UNSEEN_SEED = 99
WHOLE_WORD = 3  # ids of a word that is one token: BOS, the word, EOS


def one_token(tokenizer, word):
    return len(tokenizer(word)["input_ids"]) == WHOLE_WORD


@pytest.fixture(scope="module")
def pipeline():
    return read_pipeline(CHECKPOINT, CPU)


@pytest.fixture(scope="module")
def unseen():
    made = [make_picture(UNSEEN_SEED, number, TRAINED_SETS + HELD_OUT_SETS) for number in range(300)]
    return np.stack([sample.picture for sample in made]), [sample.scene for sample in made]


def test_checkpoint_and_judges_are_small():
    files = [*CHECKPOINT.rglob("*"), LOOK_WEIGHTS, LOOK_WEIGHTS.with_name("weights.safetensors")]
    assert sum(file.stat().st_size for file in files if file.is_file()) <= LIMIT_BYTES


def test_a_caption_word_is_one_token_with_a_row_and_all_other_rows_are_zero(pipeline):
    rows, tokenizer = pipeline.text_encoder.get_input_embeddings().weight, pipeline.tokenizer
    words = {tokenizer(word)["input_ids"][1] for word in vocabulary() if one_token(tokenizer, word)}
    assert len(words) > 100
    filled = set((rows.norm(dim=1) > 0).nonzero()[:, 0].tolist())
    assert filled == words | {tokenizer.bos_token_id, tokenizer.eos_token_id}


def test_its_text_model_treats_rows_as_a_pretrained_one_does(pipeline):
    text_model, tokenizer = pipeline.text_encoder, pipeline.tokenizer
    objects = [name for name in OBJECTS if one_token(tokenizer, name)]
    mean, deviation = row_norms(text_model)
    assert deviation < mean / 2
    assert 1 < update_ratio(text_model, tokenizer, objects) < 28
    likeness = position_attenuation(text_model, tokenizer, objects)
    assert list(likeness.values()) == sorted(likeness.values())


@torch.no_grad()
def test_its_autoencoder_gives_pictures_back(pipeline, unseen):
    pictures = to_unit(unseen[0][:50])
    rebuilt = pipeline.vae.decode(pipeline.vae.encode(pictures).latents).sample
    assert -10 * np.log10(float((rebuilt - pictures).pow(2).mean()) / 4) > 22


def test_the_scorer_names_unseen_pictures_of_all_looks_right(unseen):
    shares = accuracy(load_scorer(), *unseen)
    assert min(shares[name] for name in ("background", "style", "colour", "count")) > 0.93
    assert min(shares[name] for name in ("subject", "accessory")) > 0.88
    assert max(false_alarms(load_scorer(), *unseen).values()) < 0.06


@torch.no_grad()
def test_the_look_scorer_tells_concepts_apart():
    scorer = load_look_scorer()
    right = []
    for number, concept in enumerate(CONCEPTS):
        samples = true_pictures(concept, 4, UNSEEN_SEED, colour=False)
        named = scorer(to_unit(np.stack([sample.picture for sample in samples]))).argmax(1)
        right += (named == number).tolist()
    assert np.mean(right) > 0.9


def test_the_scorer_describes_a_picture_by_its_features(unseen):
    features = load_scorer().features(to_unit(unseen[0][:3]))
    assert features.shape == (3, FEATURES)
    assert (features >= 0).all()


def test_pictures_show_the_attributes_that_were_asked_for(pipeline):
    recipe = build_tokenizer()

    def known(text):
        return len(recipe(text)["input_ids"]) == len(pipeline.tokenizer(text)["input_ids"]) <= POSITIONS

    asked = [question for question in questions(300, 7, SINGLE) if known(question.caption.text)][:40]
    shares = Examiner(pipeline, load_scorer()).ask(asked)
    assert shares["background"] > 0.85
    assert shares["subject"] > 0.75
    assert shares["colour"] > 0.85
