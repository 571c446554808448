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
    result = run(folder, "convert", "pet.pt", "pet", "--format", "dti", "--model", "tiny", "--class-word", "dog")
    assert result.returncode == 0, result.stderr
    return folder


def test_an_embedding_of_another_tool_is_converted_to_our_format(shelf, tiny):
    embedding = Embedding.load(shelf / "pet.safetensors")
    assert (embedding.trigger, embedding.class_word, embedding.method) == ("my-pet", "dog", "import")
    tiny.check_fits(embedding)


def test_a_file_is_explained_without_a_model(shelf):
    result = run(shelf, "explain", "pet.pt")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(
        "pet.pt: a1111, called my-pet.\nan encoder without a name: 2 vectors of 128 numbers"
    )


@pytest.fixture(scope="module")
def mean_norm(tiny):
    """The mean norm of the bundled model's words."""
    return vocabulary_norm(tiny.encoders["text_encoder"].vocabulary, "mean")


@pytest.mark.parametrize("file", ["pet.pt", "pet.safetensors"])
def test_a_file_is_explained_by_the_nearest_words_of_a_model(shelf, mean_norm, file):
    result = run(shelf, "explain", file, "--model", "tiny", "--words", "2")
    assert result.returncode == 0, result.stderr
    _, encoder, *vectors = result.stdout.splitlines()
    assert encoder.startswith(f"text_encoder: 2 vectors of 128 numbers; a word's norm is {mean_norm:.3g}")
    assert len(vectors) == 2
    for line, word in zip(vectors, ("dog", "cat"), strict=True):
        assert f"nearest: {word} 1.00, " in line
        assert line.count(",") == 2


def test_our_file_has_its_training_history(shelf):
    result = run(shelf, "explain", "pet.safetensors")
    assert "<my-pet> of class 'dog', made by import in 0 steps for sd" in result.stdout


def test_an_inflated_embedding_is_repaired(shelf, mean_norm):
    arguments = ("--format", "dti", "--model", "tiny", "--class-word", "dog", "--name", "repaired", "--normalize")
    result = run(shelf, "convert", "pet.pt", "repaired.safetensors", *arguments)
    assert result.returncode == 0, result.stderr
    assert f"→ {mean_norm:.3g}" in result.stderr
    lengths = Embedding.load(shelf / "repaired.safetensors").rows["text_encoder"].vectors.norm(dim=-1)
    assert lengths.tolist() == pytest.approx([mean_norm] * 2, abs=1e-6)


@pytest.mark.parametrize("tool", ["diffusers", "a1111", "comfyui", "replicate"])
def test_our_embedding_is_converted_to_every_format_with_the_same_vectors(shelf, tool):
    result = run(shelf, "convert", "pet.safetensors", f"new/{tool}", "--format", tool)
    assert result.returncode == 0, result.stderr
    (path,) = (shelf / "new").glob(f"{tool}.*")
    (vectors,) = load(path).vectors.values()
    assert torch.equal(vectors, Embedding.load(shelf / "pet.safetensors").rows["text_encoder"].vectors)


def test_an_existing_suffix_is_not_added_again(shelf):
    run(shelf, "convert", "pet.safetensors", "suffixed.pt", "--format", "a1111")
    assert (shelf / "suffixed.pt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_an_error_is_a_message_and_exit_code_1(shelf, arguments, message):
    (shelf / "notes.txt").write_text("words")
    torch.save({"<wide>": torch.ones(1, 768)}, shelf / "wide.pt")
    result = run(shelf, *arguments)
    assert result.returncode == 1, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr
