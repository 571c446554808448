"""The recipe from nothing to a scored checkpoint, at a size that takes seconds."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools.tiny.dataset import read_pictures, read_scenes
from tools.tiny.recipe import main
from tools.tiny.scorer import ATTRIBUTES

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[3] / "examples"
CONCEPTS = {"blue-car", "purple-owl"}
SMALL = ["--pictures", "60", "--decoder-steps", "25", "--scorer-steps", "25", "--steps", "16", "--anneal", "4"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    for name in CONCEPTS:
        shutil.copytree(EXAMPLES / name, folder / "examples" / name)
    short = [
        "--batch",
        "8",
        "--processes",
        "1",
        "--exam",
        "6",
        "--concept-steps",
        "2",
        "--examples",
        str(folder / "examples"),
    ]
    main(["--run", str(folder), *SMALL, *short])
    return folder


def losses(run, name):
    return [json.loads(line)["loss"] for line in (run / name).read_text().splitlines()]


def test_the_world_holds_every_picture_with_its_scene(run):
    assert len(read_scenes(run)) == len(read_pictures(run)) == 60


def test_training_lowers_the_loss_and_the_branch_goes_on_from_it(run):
    stable, annealed = losses(run, "stable.jsonl"), losses(run, "annealed-16.jsonl")
    assert 0 < annealed[-1] < stable[0]


def test_the_checkpoint_has_the_standard_layout(run):
    index = json.loads((run / "checkpoint" / "model_index.json").read_text())
    parts = [name for name, kind in index.items() if isinstance(kind, list) and kind[0]]
    assert sorted(parts) == ["scheduler", "text_encoder", "tokenizer", "unet", "vae"]
    assert all((run / "checkpoint" / part).is_dir() for part in parts)


def test_the_report_scores_every_attribute_and_draws_its_pictures(run):
    report = json.loads((run / "report.json").read_text())
    assert set(report["scores"]) == set(ATTRIBUTES)
    assert report["sum of update norms over row norm"] > 0
    with Image.open(run / "contact-sheet.png") as sheet:
        assert np.asarray(sheet).std() > 0


def test_every_concept_is_compared_with_every_ones_references(run):
    similarities = json.loads((run / "concepts.json").read_text())
    assert set(similarities) == CONCEPTS
    assert all(set(row) == CONCEPTS for row in similarities.values())
    with Image.open(run / "concepts.png") as sheet:
        assert np.asarray(sheet).std() > 0


def test_a_stage_run_again_alone_finds_what_is_there(run):
    before = (run / "pictures.npy").stat().st_mtime_ns
    main(["--run", str(run), *SMALL, "--processes", "1", "--stage", "world"])
    assert (run / "pictures.npy").stat().st_mtime_ns == before


def test_two_processes_train_as_one(run, tmp_path):
    for name in ("scenes.json", "latents.pt"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    main(["--run", str(tmp_path), "--stage", "train", "--steps", "2", "--batch", "4", "--processes", "2"])
    assert json.loads((tmp_path / "stable.jsonl").read_text())["samples"] == 16


def test_training_goes_on_from_the_bundled_checkpoint(run, tmp_path):
    for name in ("scenes.json", "pictures.npy"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    main(["--run", str(tmp_path), "--stage", "begin"])
    main(["--run", str(tmp_path), "--stage", "train", "--steps", "1", "--batch", "8", "--processes", "1"])
    assert losses(tmp_path, "stable.jsonl")[0] < losses(run, "stable.jsonl")[0]
