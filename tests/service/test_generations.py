"""Generations and interpolations: defaults, pinned embeddings, refused fields."""

import threading
from dataclasses import asdict

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from dti.spec.settings import SEED_LIMIT, Rendering
from service import jobs, workers
from service.catalogue.models import TINY, Catalogue
from service.concepts import generations
from service.concepts.generations import GenerateParams
from service.database.tables import Concept, Job
from service.errors import (
    ConceptNotReadyError,
    EmbeddingsDifferError,
    InvalidInputError,
    ModelMismatchError,
    PromptTooLongError,
    TooManyJobsError,
    UnknownConceptError,
    UnknownModelError,
    UnknownSchedulerError,
)
from service.kinds.versioned import without_version
from tests.support.queue_driver import moment


@pytest.fixture
def card():
    """A model that takes ten tokens: begin, end, and eight words."""
    words = {"[B]": 0, "[E]": 1, "[U]": 2}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[U]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing("[B] $A [E]", special_tokens=[("[B]", 0), ("[E]", 1)])
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=10)
    encoder = {"width": 128, "token_limit": 10, "frame_tokens": 2, "lead": "", "magnitude": 0.4}
    encoder |= {"zero_rows": [], "chunk_tokens": None, "comma": None}
    encoder["tokenizer"] = tokenizer.to_str()
    return {"fingerprint": "f", "takes_guidance": True, "encoders": {"text_encoder": encoder}}


def publish(driver, card):
    with driver.database.writing() as session:
        workers.publish_card(session, "tiny", card)


def test_defaults_are_filled_in_and_a_seed_is_drawn(driver):
    first, second = driver.generate("a cat"), driver.generate("a cat", seed=None)
    assert without_version(first.input) == {
        **asdict(Rendering()),
        "prompt": "a cat",
        "negative_prompt": "",
        "model": "tiny",
        "width": TINY.width,
        "height": TINY.height,
        "steps": TINY.steps,
        "guidance_scale": TINY.guidance_scale,
        "scheduler": TINY.scheduler,
        "seed": first.input["seed"],
    }
    assert 0 <= first.input["seed"] <= SEED_LIMIT
    assert first.input["seed"] != second.input["seed"]


def test_given_values_are_used(driver):
    fields = {
        "num_images": 3,
        "width": 128,
        "height": 32,
        "steps": 7,
        "guidance_scale": 1.0,
        "seed": 0,
        "format": "webp",
    }
    job = driver.generate("a cat", negative_prompt="a dog", **fields)
    assert {name: job.input[name] for name in fields} == fields
    assert job.input["negative_prompt"] == "a dog"
    assert (job.total, job.slots) == (21, 3)


def test_a_job_pins_the_current_embeddings_of_its_concepts(driver):
    for name in ("my-dog", "my-cat"):
        driver.concept(name)
    before = driver.get("my-dog").embedding
    job = driver.generate("<my-dog> and <my-cat> and <my-dog>", negative_prompt="<my-cat>")
    driver.finish_training(driver.retrain("my-dog"))
    (claim,) = driver.claim()
    assert [pinned.name for pinned in claim.concepts] == ["my-dog", "my-cat"]
    assert claim.concepts[0].embedding_sha256 == before.sha256
    assert claim.concepts[0].embedding_key == before.key
    assert claim.job_id == job.id


@pytest.mark.parametrize("where", ["prompt", "negative_prompt"])
def test_unknown_concepts_are_all_named(driver, where):
    driver.concept("my-dog")
    fields = {"prompt": "a cat", where: "<my-dog> <nobody> <nothing>"}
    with pytest.raises(UnknownConceptError, match=r"<nobody>, <nothing>") as refusal:
        driver.generate(**fields)
    assert refusal.value.names == ("nobody", "nothing")


def test_another_owners_concept_is_unknown(driver):
    driver.concept("my-dog")
    with pytest.raises(UnknownConceptError):
        driver.generate("<my-dog>", owner=driver.owner("own_other"))


def test_relations_and_hearts_stay_plain_text(driver):
    assert driver.generate("a dog <3 a cat, x < y and y > z").concepts == []


def test_a_concept_in_training_is_not_ready(driver):
    driver.concept("my-dog", ready=False)
    with pytest.raises(ConceptNotReadyError, match="<my-dog>"):
        driver.generate("<my-dog>")


@pytest.fixture
def two_models(driver, tmp_path):
    path = tmp_path / "models.toml"
    path.write_text('[big]\nfamily = "sd"\nsource = "/weights"\nwidth = 512\nheight = 512\n')
    object.__setattr__(driver.service, "catalogue", Catalogue.load(path))
    return driver


def test_the_model_is_taken_from_the_concepts(two_models):
    two_models.concept("my-dog", model="big")
    assert two_models.generate("<my-dog>").model == "big"
    assert two_models.generate("a dog").model == "tiny"


def publish_weights(driver, fingerprints, widths):
    """Cards of loaded models."""
    for model, fingerprint in fingerprints.items():
        encoder = {"width": widths[model], "tokenizer": None}
        card = {"fingerprint": fingerprint, "takes_guidance": True, "encoders": {"text_encoder": encoder}}
        driver.write(workers.publish_card, model, card)


def test_a_concept_renders_on_another_model_of_its_family_with_a_warning(two_models):
    two_models.concept("my-dog", model="big")
    two_models.concept("my-cat", model="tiny")
    publish_weights(two_models, {"big": "a", "tiny": "b"}, {"big": 128, "tiny": 128})
    for job in (
        two_models.generate("<my-dog>", model="tiny"),
        two_models.generate("<my-cat> <my-dog>"),
        two_models.interpolate("my-cat", "my-dog"),
    ):
        (warning,) = job.warnings
        assert (job.model, warning["code"], warning["subjects"]) == ("tiny", "concept_of_another_model", ["my-dog"])
    assert two_models.generate("<my-cat>").warnings == []


def test_the_same_weights_under_another_name_are_the_same_model(two_models):
    two_models.concept("my-dog", model="big")
    publish_weights(two_models, {"big": "a", "tiny": "a"}, {"big": 128, "tiny": 128})
    assert two_models.generate("<my-dog>", model="tiny", strict=True).warnings == []


def test_strict_refuses_a_concept_of_other_weights(two_models):
    two_models.concept("my-dog", model="big")
    publish_weights(two_models, {"big": "a", "tiny": "b"}, {"big": 128, "tiny": 128})
    assert two_models.generate("<my-dog>", model="tiny").warnings
    with pytest.raises(ModelMismatchError, match="<my-dog>"):
        two_models.generate("<my-dog>", model="tiny", strict=True)


def test_a_concept_of_another_family_or_width_is_refused_and_named(two_models, tmp_path):
    two_models.concept("my-dog", model="big")
    publish_weights(two_models, {"tiny": "b"}, {"tiny": 64})
    with pytest.raises(ModelMismatchError, match="<my-dog>"):
        two_models.generate("<my-dog>", model="tiny")
    path = tmp_path / "families.toml"
    path.write_text('[big]\nfamily = "sd"\nsource = "/weights"\nwidth = 512\nheight = 512\n[xl]\npreset = "sdxl"\n')
    object.__setattr__(two_models.service, "catalogue", Catalogue.load(path))
    with pytest.raises(ModelMismatchError, match="<my-dog>"):
        two_models.generate("<my-dog>", model="xl")


def test_unknown_models_and_schedulers_are_refused(driver):
    with pytest.raises(UnknownModelError, match=r"dall-e.*tiny"):
        driver.generate("a cat", model="dall-e")
    with pytest.raises(UnknownModelError):
        driver.generate("a cat", model="")
    with pytest.raises(UnknownSchedulerError, match=r"magic.*ddim"):
        driver.generate("a cat", scheduler="magic")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": " "}, "prompt"),
        ({"prompt": "x" * 2501}, "prompt"),
        ({"negative_prompt": "x" * 2501}, "negative_prompt"),
        ({"width": 65}, "width"),
        ({"height": 144}, "height"),
        ({"steps": 0}, "steps"),
        ({"steps": 151}, "steps"),
        ({"num_images": 17}, "num_images"),
        ({"seed": -1}, "seed"),
        ({"seed": SEED_LIMIT + 1}, "seed"),
        ({"guidance_scale": float("nan")}, "guidance_scale"),
        ({"format": "bmp"}, "format"),
        ({"colour": "blue"}, "colour"),
    ],
)
def test_an_invalid_field_is_refused_and_named(driver, fields, field):
    with pytest.raises(InvalidInputError) as refusal:
        driver.generate(**{"prompt": "a cat", **fields})
    assert refusal.value.field == field
    assert driver.claim() == []


def test_the_limits_of_the_service_apply(driver):
    driver.limit(denoising_steps=10, unfinished_jobs=1)
    with pytest.raises(InvalidInputError, match="at most 10"):
        driver.generate("a cat", steps=11)
    driver.generate("a cat", steps=10)
    with pytest.raises(TooManyJobsError):
        driver.generate("a cat", steps=10)


def test_the_tokens_of_a_prompt_include_a_concepts_vectors_and_too_many_are_refused(driver, card):
    publish(driver, card)
    driver.concept("my-dog", vectors=3)
    driver.generate("one two three four five <my-dog>")
    with pytest.raises(PromptTooLongError, match="<my-dog>") as refusal:
        driver.generate("one two three four five six <my-dog>")
    assert (refusal.value.tokens, refusal.value.limit) == (11, 10)
    with pytest.raises(PromptTooLongError):
        driver.generate("a cat", negative_prompt="one two three four five six seven eight nine")


def test_words_that_would_fail_a_training_in_the_worker_are_refused_at_submission(driver, card):
    driver.concept("early")
    publish(driver, card)
    with pytest.raises(PromptTooLongError):
        driver.concept("long", training={"num_vectors": 6})
    fits = driver.concept("fits", training={"num_vectors": 5})
    card["encoders"]["text_encoder"]["zero_rows"] = [2]
    driver.write(workers.publish_card, "tiny", card, at=moment(1))
    for unheard_of in (lambda: driver.concept("odd", class_word="glorp"), lambda: driver.retrain(fits.id)):
        with pytest.raises(InvalidInputError, match="does not know") as refusal:
            unheard_of()
        assert refusal.value.field == "class_word"


def test_a_concept_that_does_not_fit_one_chunk_is_refused_at_submission(driver, card):
    encoder = card["encoders"]["text_encoder"]
    card["encoders"]["text_encoder"] = {**encoder, "token_limit": 34, "chunk_tokens": 8}
    publish(driver, card)
    driver.concept("big", vectors=9)
    with pytest.raises(PromptTooLongError, match="The concept <big> alone") as refusal:
        driver.generate("a photo of <big>")
    assert (refusal.value.tokens, refusal.value.limit) == (11, 10)
    with pytest.raises(InvalidInputError, match="9 vectors leave no room in a prompt: tiny takes 8 tokens"):
        driver.concept("large", training={"num_vectors": 9})
    assert driver.concept("small", training={"num_vectors": 8}).name == "small"


def test_an_invalid_preview_prompt_is_refused_at_submission(driver, card):
    publish(driver, card)
    fits = driver.concept("my-dog", training={"preview_prompt": "one two three {}", "num_vectors": 5})
    for vectors, class_word in ((6, "dog"), (None, "a very very long haired dog")):
        settings = {"preview_prompt": "one two three {}", "num_vectors": vectors}
        with pytest.raises(PromptTooLongError, match="<my-cat>"):
            driver.concept("my-cat", class_word=class_word, training=settings)
    with pytest.raises(PromptTooLongError, match="<my-dog>"):
        driver.retrain(fits.id, training={"num_vectors": 6})
    for prompt in ("{} with <my-cat>", "{} with <my-dog>"):
        with pytest.raises(InvalidInputError) as refusal:
            driver.concept("my-hat", training={"preview_prompt": prompt})
        assert refusal.value.field == "training.preview_prompt"
    assert driver.retrain(fits.id, training={"preview_prompt": "{} like <my-dog>", "num_vectors": 1}).status == "queued"


def test_a_newly_published_model_card_applies_at_once(driver, card):
    publish(driver, card)
    driver.generate("one two three")
    card["encoders"]["text_encoder"]["token_limit"] = 4
    driver.write(workers.publish_card, "tiny", card, at=moment(3600))
    with pytest.raises(PromptTooLongError):
        driver.generate("one two three")


def test_without_a_published_model_card_the_worker_checks_the_prompt(driver):
    assert driver.generate("word " * 100).status == "queued"


def test_without_a_published_tokenizer_the_worker_checks_the_prompt(driver, card):
    card["encoders"]["text_encoder"]["tokenizer"] = None
    publish(driver, card)
    assert driver.generate("word " * 100).status == "queued"
    assert driver.concept("my-dog", training={"num_vectors": 6}).name == "my-dog"


def test_an_interpolation_has_default_frames_shares_and_prompt(driver):
    driver.concept("my-dog")
    driver.concept("my-cat")
    job = driver.interpolate("my-dog", driver.get("my-cat").id, frames=5, steps=4)
    assert job.input["shares"] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert (job.input["from"], job.input["to"]) == ("my-dog", "my-cat")
    assert job.input["prompt"] == "a photo of {}"
    assert job.input["method"] == "slerp"
    assert "num_images" not in job.input
    assert (job.kind, job.total, job.slots) == ("interpolate", 20, 5)
    assert [concept.name for concept in job.concepts] == ["my-dog", "my-cat"]


def test_the_number_of_frames_is_the_number_of_shares(driver):
    driver.concept("my-dog", learnable_property="style")
    driver.concept("my-cat")
    job = driver.interpolate("my-dog", "my-cat", shares=[0, 0.5, 0.25])
    assert (job.input["shares"], job.input["frames"]) == ([0.0, 0.5, 0.25], 3)
    assert job.input["prompt"] == "a picture in the style of {}"
    assert driver.interpolate("my-dog", "my-cat", shares=[0.5]).input["frames"] == 1


def test_an_interpolations_prompt_may_name_further_concepts(driver):
    for name in ("my-dog", "my-cat", "my-hat"):
        driver.concept(name)
    job = driver.interpolate("my-dog", "my-cat", prompt="{} with <my-hat>")
    assert [concept.name for concept in job.concepts] == ["my-dog", "my-cat", "my-hat"]


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"prompt": "no place"}, "prompt"),
        ({"prompt": "{} and {}"}, "prompt"),
        ({"shares": []}, "shares"),
        ({"shares": [0.5, 1.5]}, "shares"),
        ({"shares": [0.5, float("nan")]}, "shares"),
        ({"shares": [0.5] * 65}, "shares"),
        ({"frames": 1}, "frames"),
        ({"frames": 65}, "frames"),
        ({"method": "jump"}, "method"),
        ({"animation": "mov"}, "animation"),
        ({"num_images": 2}, "num_images"),
    ],
)
def test_an_invalid_field_of_an_interpolation_is_refused_and_named(driver, fields, field):
    driver.concept("my-dog")
    driver.concept("my-cat")
    with pytest.raises(InvalidInputError) as refusal:
        driver.interpolate("my-dog", "my-cat", **fields)
    assert refusal.value.field == field


def test_concepts_of_different_kinds_or_not_ready_cannot_be_interpolated(driver, card):
    driver.concept("my-dog")
    driver.concept("my-cat", vectors=2)
    driver.concept("young", ready=False)
    with pytest.raises(EmbeddingsDifferError, match=r"<my-dog> has 1 .*<my-cat> has 2"):
        driver.interpolate("my-dog", "my-cat")
    with pytest.raises(ConceptNotReadyError, match="<young>"):
        driver.interpolate("my-dog", "young")
    with pytest.raises(UnknownConceptError, match="<nobody>"):
        driver.interpolate("nobody", "my-dog")
    publish(driver, card)
    with pytest.raises(PromptTooLongError):
        driver.interpolate("my-dog", "my-dog", prompt="one two three four five six seven eight {}")


def test_a_concept_cannot_be_deleted_between_check_and_submission(driver):
    """The deletion waits for the submission, and then ends its job."""
    driver.concept("my-dog")
    with driver.database.writing() as session:
        job = generations.submit_generation(driver.service, session, "own_local", GenerateParams(prompt="<my-dog>"))
        deleting = threading.Thread(target=driver.delete, args=("my-dog",))
        deleting.start()
        deleting.join(0.3)
        assert deleting.is_alive()
    deleting.join(30)
    assert driver.job(job.id).status == "cancelled"
    with driver.database.reading() as session:
        assert session.query(Concept).count() == 0
        assert session.query(Job).filter_by(id=job.id).one().status in jobs.ENDED


def test_an_option_that_the_models_family_does_not_have_is_refused(driver, tmp_path):
    path = tmp_path / "models.toml"
    path.write_text('[flow]\npreset = "sana-1.6b"\n')
    object.__setattr__(driver.service, "catalogue", Catalogue.load(path))
    with pytest.raises(InvalidInputError, match="these do: sd, sdxl") as refusal:
        driver.generate("a cat", model="flow", guidance_rescale=0.7)
    assert refusal.value.field == "guidance_rescale"
