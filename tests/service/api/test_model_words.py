"""The words of a model with a small vocabulary, as the bundled one has."""

import pytest
from sqlalchemy import select

from dti.families import load
from dti.models.tiny import CHECKPOINT
from service import workers
from service.database.clock import now
from service.database.tables import Concept, ModelCard
from service.errors import InvalidInputError
from tests.support.upload_samples import png

EVERYDAY = ["dog", "cat", "owl", "ghost", "panda", "penguin", "robot", "car", "mug", "apple", "mushroom", "rocket"]


@pytest.fixture(scope="module")
def card():
    return load("sd", CHECKPOINT, "cpu").card()


def test_a_model_tells_its_words_once_a_worker_has_loaded_it(client, service, card):
    assert client.get("/v1/models/tiny").json()["words"] is None
    with service.database.writing() as session:
        workers.publish_card(session, "tiny", card)
    model = client.get("/v1/models/tiny").json()
    assert set(EVERYDAY) <= set(model["words"])
    assert model["words"] == sorted(model["words"])
    assert not {"unicorn", "d"} & set(model["words"])
    assert model["name"] == "tiny"
    assert client.get("/v1/models/huge").status_code == 404


def test_an_unknown_class_word_is_refused_with_words_near_it(client, service, card):
    with service.database.writing() as session:
        workers.publish_card(session, "tiny", card)
    form = {"name": "mine", "class_word": "cats"}
    answer = client.post("/v1/concepts", data=form, files=[("images", ("1.png", png()))])
    assert answer.status_code == 422
    assert "cat" in answer.json()["detail"]
    assert "GET /v1/models/tiny" in answer.json()["detail"]
    with service.database.reading() as session:
        assert session.scalars(select(Concept)).all() == []


def test_a_large_vocabulary_has_no_list(service, card):
    encoder = card["encoders"]["text_encoder"]
    with service.database.writing() as session:
        workers.publish_card(session, "tiny", {**card, "encoders": {"one": encoder, "two": encoder}})
    with service.database.reading() as session:
        assert service.token_limits.words(session, "tiny") is None


def test_words_near_nothing_are_refused_without_a_suggestion(service, card):
    with service.database.writing() as session:
        workers.publish_card(session, "tiny", card)
    with service.database.reading() as session, pytest.raises(InvalidInputError, match="Use another word"):
        service.token_limits.check_class_word(session, "tiny", "xyzzyq")


def test_a_card_of_an_earlier_version_counts_as_unpublished(client, service, card):
    old = {"fingerprint": "f", "encoders": {"text_encoder": {"width": 128, "token_limit": 24, "tokenizer": "{}"}}}
    with service.database.writing() as session:
        session.add(ModelCard(name="tiny", card=old, published_at=now(session)))
    assert client.post("/v1/generations", json={"prompt": "a photo of a cat"}).status_code == 202
    assert client.get("/v1/models/tiny").json()["encoders"] is None
    with service.database.writing() as session:
        workers.publish_card(session, "tiny", card)
    assert client.get("/v1/models/tiny").json()["token_limit"] > 24
