"""`dti explain` and `dti convert` on real files, with the bundled model."""

import pytest
import torch

from dti.embeddings.embedding import Embedding
from dti.encoders import vocabulary_norm
from dti.formats import load
from service.catalogue.models import TINY
from tests.unit.cli.test_offline_commands import run
from worker.model_cache import load as load_model


@pytest.fixture(scope="module")
def tiny():
    return load_model(TINY)


@pytest.fixture(scope="module")
def shelf(tiny, tmp_path_factory):
    """A web UI's embedding of two vectors, ten times as long as words are: a dog and a cat."""
    encoder = tiny.encoders["text_encoder"]
    words = [encoder.word_ids(word)[0] for word in ("dog", "cat")]
    folder = tmp_path_factory.mktemp("shelf")
    rows = 10 * encoder.vocabulary[words].detach()
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": rows}, "name": "my-pet"}, folder / "pet.pt")
    made = run(folder, "convert", "pet.pt", "pet", "--format", "dti", "--model", "tiny", "--class-word", "dog")
    assert made.returncode == 0, made.stderr
    return folder


def test_another_tools_embedding_becomes_ours(shelf, tiny):
    embedding = Embedding.load(shelf / "pet.safetensors")
    assert (embedding.trigger, embedding.class_word, embedding.method) == ("my-pet", "dog", "import")
    tiny.check_fits(embedding)


def test_a_file_is_explained_without_any_model(shelf):
    told = run(shelf, "explain", "pet.pt")
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("pet.pt: a1111, called my-pet.\nan encoder without a name: 2 vectors of 128 numbers")


@pytest.fixture(scope="module")
def usual_norm(tiny):
    """The mean norm of the bundled model's words."""
    return vocabulary_norm(tiny.encoders["text_encoder"].vocabulary, "mean")


@pytest.mark.parametrize("file", ["pet.pt", "pet.safetensors"])
def test_a_file_is_explained_by_a_models_words(shelf, usual_norm, file):
    told = run(shelf, "explain", file, "--model", "tiny", "--words", "2")
    assert told.returncode == 0, told.stderr
    _, encoder, *vectors = told.stdout.splitlines()
    assert encoder.startswith(f"text_encoder: 2 vectors of 128 numbers; a word's norm is {usual_norm:.3g}")
    assert len(vectors) == 2
    for line, word in zip(vectors, ("dog", "cat"), strict=True):
        assert f"nearest: {word} 1.00, " in line
        assert line.count(",") == 2


def test_our_file_tells_how_it_was_made(shelf):
    told = run(shelf, "explain", "pet.safetensors")
    assert "<my-pet> of class 'dog', made by import in 0 steps for sd" in told.stdout


def test_an_inflated_embedding_is_repaired(shelf, usual_norm):
    asked = ("--format", "dti", "--model", "tiny", "--class-word", "dog", "--name", "repaired", "--normalize")
    made = run(shelf, "convert", "pet.pt", "repaired.safetensors", *asked)
    assert made.returncode == 0, made.stderr
    assert f"→ {usual_norm:.3g}" in made.stderr
    lengths = Embedding.load(shelf / "repaired.safetensors").rows["text_encoder"].vectors.norm(dim=-1)
    assert lengths.tolist() == pytest.approx([usual_norm] * 2, abs=1e-6)


@pytest.mark.parametrize("tool", ["diffusers", "a1111", "comfyui", "replicate"])
def test_our_embedding_becomes_any_tools_and_keeps_its_vectors(shelf, tool):
    made = run(shelf, "convert", "pet.safetensors", f"new/{tool}", "--format", tool)
    assert made.returncode == 0, made.stderr
    (path,) = (shelf / "new").glob(f"{tool}.*")
    (vectors,) = load(path).vectors.values()
    assert torch.equal(vectors, Embedding.load(shelf / "pet.safetensors").rows["text_encoder"].vectors)


def test_an_ending_that_is_there_is_not_added_again(shelf):
    run(shelf, "convert", "pet.safetensors", "said.pt", "--format", "a1111")
    assert (shelf / "said.pt").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("convert", "pet.pt", "x", "--format", "zip"), "Choose one of: dti, diffusers, a1111, comfyui, replicate"),
        (("convert", "pet.pt", "x", "--format", "dti", "--class-word", "dog"), "model: "),
        (("convert", "pet.pt", "x", "--format", "dti", "--model", "tiny"), "class_word: "),
        (("convert", "pet.safetensors", "x", "--format", "dti", "--normalize"), "model: "),
        (("convert", "pet.safetensors", "x", "--format", "dti", "--name", "No Name"), "name: 'No Name'"),
        (("convert", "pet.safetensors", "pet.pt/below", "--format", "dti"), "cannot be written"),
        (("explain", "notes.txt"), "neither safetensors nor"),
        (("explain", "wide.pt", "--model", "tiny"), "text_encoder (128). Found: one without a name (768)"),
    ],
)
def test_trouble_is_a_sentence_and_ends_with_one(shelf, arguments, said):
    (shelf / "notes.txt").write_text("words")
    torch.save({"<wide>": torch.ones(1, 768)}, shelf / "wide.pt")
    answer = run(shelf, *arguments)
    assert answer.returncode == 1, answer.stderr
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr
