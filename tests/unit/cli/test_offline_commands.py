"""The command line's work on files, with the bundled model: real folders in, real files out."""

import contextlib
import io
import os
import shutil
import sys
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from cli import main
from cli.offline import read_folder
from dti.embeddings.embedding import Embedding
from dti.spec.registry import METHODS
from service.settings import Settings


@dataclass
class Answer:
    returncode: int
    stderr: str
    stdout: str


def run(folder, *arguments):
    """A command as a process would run it, but in this one, where torch is loaded already."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DTI_")}
    said, printed = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(printed),
        patch.dict(os.environ, clean, clear=True),
        patch.object(sys, "argv", ["dti", *arguments]),
        pytest.raises(SystemExit) as ended,
    ):
        main.main()
    return Answer(ended.value.code, said.getvalue(), printed.getvalue())


@pytest.fixture(scope="session")
def studio(tmp_path_factory):
    """A folder with pictures, and a concept learned from them."""
    folder = tmp_path_factory.mktemp("studio")
    (folder / "pictures").mkdir()
    generator = np.random.default_rng(0)
    for number in range(2):
        picture = Image.fromarray(generator.integers(0, 256, (70, 90, 3), dtype=np.uint8))
        picture.save(folder / "pictures" / f"{number}.png")
    (folder / "pictures" / "0.txt").write_text("a photo of {} on grass")
    (folder / "pictures" / "notes.md").write_text("not a picture")
    learned = run(folder, "train", "pictures", "--class-word", "dog", "--name", "my-dog", "--steps", "3", "--seed", "1")
    assert learned.returncode == 0, learned.stderr
    return folder


def test_a_folder_of_pictures_becomes_an_embedding(studio):
    embedding = Embedding.load(studio / "my-dog.safetensors")
    assert (embedding.trigger, embedding.class_word, embedding.steps) == ("my-dog", "dog", 3)


def test_a_prompt_with_the_concept_becomes_pictures_that_a_seed_repeats(studio):
    for out in ("once", "again"):
        prompt = ("a photo of <my-dog>", "--concept", "my-dog.safetensors")
        made = run(studio, "render", *prompt, "--num-images", "2", "--steps", "2", "--seed", "4", "--out", out)
        assert made.returncode == 0, made.stderr
    assert sorted(path.name for path in (studio / "once").iterdir()) == ["00.png", "01.png"]
    assert (studio / "once" / "01.png").read_bytes() == (studio / "again" / "01.png").read_bytes()
    assert Image.open(studio / "once" / "01.png").text["parameters"].count("Seed: 5,") == 1


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_asked_for(studio, method):
    concept = ("--class-word", "dog", "--name", "it", "--out", f"{method}.safetensors")
    learned = run(studio, "train", "pictures", *concept, "--method", method, "--steps", "1", "--batch-size", "1")
    assert learned.returncode == 0, learned.stderr
    embedding = Embedding.load(studio / f"{method}.safetensors")
    assert (embedding.method, embedding.steps, embedding.settings["batch_size"]) == (method, 1, 1)


def test_a_twin_is_left_out_and_named_unless_all_are_to_be_kept(studio, tmp_path):
    shutil.copytree(studio / "pictures", tmp_path / "pictures")
    shutil.copy(studio / "pictures" / "0.png", tmp_path / "pictures" / "twin.png")
    asked = ("train", "pictures", "--class-word", "dog", "--name", "my-dog", "--steps", "1", "--seed", "1")
    assert "twin.png is left out: near duplicate of 0.png" in run(tmp_path, *asked).stderr
    assert "left out" not in run(tmp_path, *asked, "--no-selection").stderr


def test_settings_that_are_words_or_numbers_or_neither_are_read(studio):
    concept = ("train", "pictures", "--class-word", "dog", "--name", "it", "--steps", "1", "--out", "it.safetensors")
    for said, magnitude in (("max", "max"), ("2.5", 2.5)):
        learned = run(studio, *concept, "--magnitude", said, "--no-captions", "--schedule", "cosine")
        assert learned.returncode == 0, learned.stderr
        settings = Embedding.load(studio / "it.safetensors").settings
        assert (settings["magnitude"], settings["captions"], settings["schedule"]) == (magnitude, False, "cosine")


def test_two_concepts_become_frames_a_sheet_and_an_animation(studio):
    file = "my-dog.safetensors"
    options = ("--frames", "3", "--steps", "2", "--animation", "webp", "--contact-sheet", "--out", "way")
    made = run(studio, "interpolate", file, file, *options)
    assert made.returncode == 0, made.stderr
    names = {path.name for path in (studio / "way").iterdir()}
    assert names == {"00.png", "01.png", "02.png", "animation.webp", "contact_sheet.png"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("render", "a photo of <nobody>"), "<nobody>"),
        (("render", "a photo", "--model", "no-such-folder/at/all"), "no-such-folder"),
        (("render", "a photo", "--scheduler", "guess"), "guess"),
        (("render", "a photo", "--out", "my-dog.safetensors/below"), "cannot be written"),
        (("render", "a photo of <x>", "--concept", "pictures/0.png"), "safetensors"),
        (("train", "pictures", "--class-word", "dog", "--name", "No Name"), "No Name"),
        (("train", "pictures", "--class-word", "dog", "--name", "x", "--learning-rate", "9"), "learning_rate"),
        (("train", "pictures", "--class-word", "dog", "--name", "x", "--method", "ti", "--kappa", "1"), "'ti' has no"),
        (("train", "pictures", "--class-word", "dog", "--name", "x", "--method", "magic"), "crossinit"),
        (("interpolate", "my-dog.safetensors", "my-dog.safetensors", "--prompt", "no place"), "{}"),
    ],
)
def test_trouble_is_a_sentence_and_ends_with_one(studio, arguments, said):
    answer = run(studio, *arguments)
    assert answer.returncode == 1, answer.stderr
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_place_that_cannot_be_written_is_refused_before_the_training(studio):
    training = ("train", "pictures", "--class-word", "dog", "--name", "x", "--steps", "1")
    answer = run(studio, *training, "--out", "pictures")
    assert answer.returncode == 1
    assert "pictures cannot be written: Is a directory" in answer.stderr
    assert "Training" not in answer.stderr


def test_a_picture_without_a_date_is_read(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "dog.png")
    os.utime(tmp_path / "dog.png", (0, 0))
    assert [picture.filename for picture in read_folder(tmp_path, Settings())] == ["dog.png"]


def test_a_folder_without_pictures_is_named(tmp_path):
    answer = run(tmp_path, "train", ".", "--class-word", "dog", "--name", "x")
    assert answer.returncode == 1
    assert "no pictures" in answer.stderr
