"""The offline commands on local files, with the bundled model."""

import contextlib
import io
import json
import os
import shutil
import signal
import sys
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
import pytest
from PIL import Image

from cli import main, training
from cli.offline import read_folder
from dti.embeddings.embedding import Embedding
from dti.spec.registry import METHODS
from dti.training import trainer
from service.settings import Settings


@dataclass
class Result:
    returncode: int
    stderr: str
    stdout: str


def run(folder, *arguments):
    """Run a command in this process, where torch is already loaded."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("DTI_")}
    stderr, stdout = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stderr(stderr),
        contextlib.redirect_stdout(stdout),
        patch.dict(os.environ, clean, clear=True),
        patch.object(sys, "argv", ["dti", *arguments]),
        pytest.raises(SystemExit) as exited,
    ):
        main.main()
    return Result(exited.value.code, stderr.getvalue(), stdout.getvalue())


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    """A folder with pictures, and a concept trained from them."""
    folder = tmp_path_factory.mktemp("workspace")
    (folder / "pictures").mkdir()
    generator = np.random.default_rng(0)
    for number in range(2):
        picture = Image.fromarray(generator.integers(0, 256, (70, 90, 3), dtype=np.uint8))
        picture.save(folder / "pictures" / f"{number}.png")
    (folder / "pictures" / "0.txt").write_text("a photo of {} on grass")
    (folder / "pictures" / "notes.md").write_text("not a picture")
    trained = run(folder, "train", "pictures", "--class-word", "dog", "--name", "my-dog", "--steps", "3", "--seed", "1")
    assert trained.returncode == 0, trained.stderr
    return folder


def test_training_on_a_folder_writes_an_embedding(workspace):
    embedding = Embedding.load(workspace / "my-dog.safetensors")
    assert (embedding.trigger, embedding.class_word, embedding.steps) == ("my-dog", "dog", 3)


def test_rendering_with_a_seed_is_repeatable(workspace):
    for out in ("once", "again"):
        prompt = ("a photo of <my-dog>", "--concept", "my-dog.safetensors")
        result = run(workspace, "render", *prompt, "--num-images", "2", "--steps", "2", "--seed", "4", "--out", out)
        assert result.returncode == 0, result.stderr
    assert sorted(path.name for path in (workspace / "once").iterdir()) == ["00.png", "01.png"]
    assert (workspace / "once" / "01.png").read_bytes() == (workspace / "again" / "01.png").read_bytes()
    assert Image.open(workspace / "once" / "01.png").text["parameters"].count("Seed: 5,") == 1


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains(workspace, method):
    concept = ("--class-word", "dog", "--name", "it", "--out", f"{method}.safetensors")
    trained = run(workspace, "train", "pictures", *concept, "--method", method, "--steps", "1", "--batch-size", "1")
    assert trained.returncode == 0, trained.stderr
    embedding = Embedding.load(workspace / f"{method}.safetensors")
    assert (embedding.method, embedding.steps, embedding.settings["batch_size"]) == (method, 1, 1)


def test_a_near_duplicate_is_left_out_and_named_unless_selection_is_off(workspace, tmp_path):
    shutil.copytree(workspace / "pictures", tmp_path / "pictures")
    shutil.copy(workspace / "pictures" / "0.png", tmp_path / "pictures" / "twin.png")
    arguments = ("train", "pictures", "--class-word", "dog", "--name", "my-dog", "--steps", "1", "--seed", "1")
    assert "twin.png is left out: near duplicate of 0.png" in run(tmp_path, *arguments).stderr
    assert "left out" not in run(tmp_path, *arguments, "--no-selection").stderr


def test_settings_of_words_or_numbers_are_parsed(workspace):
    concept = ("train", "pictures", "--class-word", "dog", "--name", "it", "--steps", "1", "--out", "it.safetensors")
    for message, magnitude in (("max", "max"), ("2.5", 2.5)):
        trained = run(workspace, *concept, "--magnitude", message, "--no-captions", "--schedule", "cosine")
        assert trained.returncode == 0, trained.stderr
        settings = Embedding.load(workspace / "it.safetensors").settings
        assert (settings["magnitude"], settings["captions"], settings["schedule"]) == (magnitude, False, "cosine")


def test_an_interpolation_has_frames_a_contact_sheet_and_an_animation(workspace):
    file = "my-dog.safetensors"
    options = ("--frames", "3", "--steps", "2", "--animation", "webp", "--contact-sheet", "--out", "between")
    result = run(workspace, "interpolate", file, file, *options)
    assert result.returncode == 0, result.stderr
    names = {path.name for path in (workspace / "between").iterdir()}
    assert names == {"00.png", "01.png", "02.png", "animation.webp", "contact_sheet.png"}


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_an_error_is_a_message_and_exit_code_1(workspace, arguments, message):
    result = run(workspace, *arguments)
    assert result.returncode == 1, result.stderr
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unwritable_output_is_refused_before_the_training(workspace):
    training = ("train", "pictures", "--class-word", "dog", "--name", "x", "--steps", "1")
    result = run(workspace, *training, "--out", "pictures")
    assert result.returncode == 1
    assert "pictures cannot be written: Is a directory" in result.stderr
    assert "Training" not in result.stderr


def test_a_picture_with_the_date_zero_is_read(tmp_path):
    Image.new("RGB", (64, 64)).save(tmp_path / "dog.png")
    os.utime(tmp_path / "dog.png", (0, 0))
    assert [picture.filename for picture in read_folder(tmp_path, Settings())] == ["dog.png"]


def test_a_folder_without_pictures_is_named(tmp_path):
    result = run(tmp_path, "train", ".", "--class-word", "dog", "--name", "x")
    assert result.returncode == 1
    assert "no pictures" in result.stderr


def rendered(workspace, out, prompt, *options):
    given = ("--concept", "my-dog.safetensors", "--steps", "1", "--seed", "4", "--out", out)
    result = run(workspace, "render", prompt, *given, *options)
    assert result.returncode == 0, result.stderr
    with Image.open(workspace / out / "00.png") as picture:
        picture.load()
    return picture, result.stderr


def test_a_concept_that_no_prompt_names_is_a_warning_and_not_in_the_metadata(workspace):
    picture, stderr = rendered(workspace, "unnamed", "a photo")
    assert "Warning: <my-dog> is given and not used" in stderr
    assert json.loads(picture.text["dti"])["concepts"] == {}
    assert "TI hashes" not in picture.text["parameters"]
    picture, stderr = rendered(workspace, "negative", "a photo", "--negative-prompt", "<my-dog>")
    assert "Warning" not in stderr
    assert json.loads(picture.text["dti"])["concepts"].keys() == {"my-dog"}


@pytest.mark.parametrize("written", ["<My-Dog>", "< my_dog >", "＜MY-DOG＞"])
def test_any_spelling_of_a_trigger_renders_the_concept(workspace, written):
    expected, _ = rendered(workspace, "plain", "a photo of <my-dog>")
    picture, stderr = rendered(workspace, "spelled", f"a photo of {written}")
    assert picture.tobytes() == expected.tobytes()
    assert "Warning" not in stderr


def test_settings_without_effect_and_syntax_of_other_tools_are_told(workspace):
    options = ("--negative-prompt", "blur", "--guidance-scale", "1")
    _, stderr = rendered(workspace, "told", "(<my-dog>:1.4)", *options)
    assert "negative_prompt has no effect" in stderr
    assert "'(<my-dog>:1.4)' is a weight in A1111" in stderr


def test_a_rescaled_guidance_without_guidance_is_told(workspace):
    options = ("--guidance-rescale", "0.7", "--guidance-scale", "1")
    _, stderr = rendered(workspace, "rescaled", "<my-dog>", *options)
    assert "Warning: guidance_rescale has no effect: guidance_scale is 1" in stderr


def test_a_misspelt_trigger_is_an_error_with_the_nearest_name(workspace):
    result = run(workspace, "render", "a <my-dogg>", "--concept", "my-dog.safetensors")
    assert result.returncode == 1
    assert "The nearest is <my-dog>" in result.stderr


TRAINING = ("train", "pictures", "--class-word", "dog", "--name", "kept", "--steps", "6")


class Killed(BaseException):
    """Stands for `kill -9`: nothing of the command runs after it."""


@pytest.fixture
def after_updates(monkeypatch):
    """Do something in the middle of an update, by its number."""
    advance = trainer.Trainer.advance

    def install(number, action):
        made = iter(range(1, 1000))

        def counting(self):
            updates = advance(self)
            if next(made) == number:
                action()
            return updates

        monkeypatch.setattr(trainer.Trainer, "advance", counting)

    return install


def rows(path):
    return Embedding.load(path).rows["text_encoder"].vectors.tolist()


def test_ctrl_c_keeps_the_concept_so_far_and_resume_goes_on_bit_for_bit(workspace, after_updates):
    after_updates(3, lambda: os.kill(os.getpid(), signal.SIGINT))
    stopped = run(workspace, *TRAINING)
    assert stopped.returncode == 130
    assert "Stopped after 3 of 6 updates" in stopped.stderr
    assert Embedding.load(workspace / "kept.safetensors").steps == 3
    after_updates(999, lambda: None)
    resumed = run(workspace, *TRAINING, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stdout == "kept.safetensors\n"
    assert not (workspace / "kept.checkpoint").exists()
    seed = str(Embedding.load(workspace / "kept.safetensors").settings["seed"])
    run(workspace, *TRAINING, "--seed", seed, "--out", "whole.safetensors")
    assert (workspace / "whole.safetensors").read_bytes() == (workspace / "kept.safetensors").read_bytes()


def test_a_killed_training_goes_on_from_its_last_checkpoint(workspace, after_updates, monkeypatch):
    monkeypatch.setattr(training, "CHECKPOINT_INTERVAL_S", 0)
    arguments = [*TRAINING, "--seed", "5", "--out", "killed.safetensors"]
    after_updates(4, lambda: (_ for _ in ()).throw(Killed))
    with pytest.raises(Killed):
        run(workspace, *arguments)
    after_updates(999, lambda: None)
    assert run(workspace, *arguments, "--resume").returncode == 0
    run(workspace, *TRAINING, "--seed", "5", "--out", "alone.safetensors")
    assert rows(workspace / "killed.safetensors") == rows(workspace / "alone.safetensors")


def test_resume_without_a_checkpoint_or_with_another_training_is_refused(workspace):
    assert "without --resume" in run(workspace, *TRAINING, "--out", "none.safetensors", "--resume").stderr
    (workspace / "bad.checkpoint").write_bytes(b"\x89PNG")
    assert "no checkpoint" in run(workspace, *TRAINING, "--out", "bad.safetensors", "--resume").stderr


def test_arguments_are_checked_before_the_model_is_loaded(workspace, monkeypatch):
    monkeypatch.setattr(training, "load_model", lambda *_: pytest.fail("the model was loaded"))
    for wrong, message in (
        (["--name", "My Dog"], "my-dog"),
        (["--method", "magic"], "crossinit"),
        (["--learning-rate", "7"], "learning"),
        (["--out", "pictures"], "cannot be written"),
    ):
        failed = run(workspace, *TRAINING, *wrong)
        assert failed.returncode == 1
        assert message in failed.stderr


def test_progress_in_a_log_is_a_line_for_every_part_and_the_result_is_on_standard_output(workspace):
    trained = run(workspace, *TRAINING, "--out", "logged.safetensors")
    assert "Training <kept>: 6/6, loss" in trained.stderr
    assert trained.stdout == "logged.safetensors\n"
