"""The recipe from nothing to a scored checkpoint, at a size that takes seconds."""

import json

import numpy as np
import pytest
from PIL import Image

from tools.tiny.concepts import CONCEPTS
from tools.tiny.dataset import read_looks, read_pictures, read_scenes
from tools.tiny.recipe import main

pytestmark = pytest.mark.slow
FOLDER_SIZES = ["--pictures", "60", "--judge-pictures", "60"]
UPDATES = ["--decoder-steps", "25", "--scorer-steps", "10", "--look-steps", "10", "--steps", "16", "--anneal", "4"]
SMALL = [*FOLDER_SIZES, *UPDATES]
SHORT = ["--batch", "8", "--processes", "1", "--exam", "3", "--concepts", "2", "--concept-steps", "2"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recipe")
    main(["--run", str(folder), *SMALL, *SHORT])
    return folder


def losses(run, name):
    return [json.loads(line)["loss"] for line in (run / name).read_text().splitlines()]


def test_the_world_holds_every_picture_with_its_scene_and_look(run):
    assert len(read_scenes(run)) == len(read_pictures(run)) == len(read_looks(run)) == 60


def test_training_lowers_the_loss_and_the_branch_goes_on_from_it(run):
    stable, annealed = losses(run, "stable.jsonl"), losses(run, "annealed-16.jsonl")
    assert 0 < annealed[-1] < stable[0]


def test_the_checkpoint_has_the_standard_layout(run):
    index = json.loads((run / "checkpoint" / "model_index.json").read_text())
    parts = [name for name, kind in index.items() if isinstance(kind, list) and kind[0]]
    assert sorted(parts) == ["scheduler", "text_encoder", "tokenizer", "unet", "vae"]
    assert all((run / "checkpoint" / part).is_dir() for part in parts)


def drawn(path):
    with Image.open(path) as picture:
        return np.asarray(picture).std() > 0


def test_the_report_measures_the_text_model_and_draws_its_pictures(run):
    report = json.loads((run / "report.json").read_text())
    assert report["row norm, mean and deviation"] == pytest.approx([0.4, 0], abs=1e-3)
    assert report["sum of update norms over row norm"] > 0
    assert drawn(run / "contact-sheet.png")
    assert drawn(run / "loss.png")


def test_judges_are_measured_on_true_pictures_of_held_out_looks(run):
    judges = json.loads((run / "judges.json").read_text())
    assert set(judges) == {"unseen true pictures of held-out looks", "false alarms", "look scorer"}


def test_acceptance_prints_its_tests_and_compares_them_with_the_floors(run):
    acceptance = json.loads((run / "acceptance.json").read_text())
    assert set(acceptance["tests"]) == {"swap, context in front", "row scaled", "class word"}
    assert len(acceptance["floors"]) == 10


def test_concepts_are_learned_and_judged(run):
    concepts = json.loads((run / "concepts.json").read_text())
    assert [entry["name"] for entry in concepts["concepts"]] == [concept.name for concept in CONCEPTS[:2]]
    assert concepts["summary"]["concepts"] == 2
    assert all(entry["losses"]["dti"]["inside"] > 0 for entry in concepts["concepts"])
    assert drawn(run / "concepts.png")


def test_a_stage_run_again_alone_finds_what_is_there(run):
    before = (run / "pictures.npy").stat().st_mtime_ns
    main(["--run", str(run), *SMALL, "--processes", "1", "--stage", "world"])
    assert (run / "pictures.npy").stat().st_mtime_ns == before


def test_two_processes_train_as_one(run, tmp_path):
    for name in ("scenes.json", "looks.npy", "latents.pt"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    main(["--run", str(tmp_path), "--stage", "train", "--steps", "2", "--batch", "4", "--processes", "2"])
    assert json.loads((tmp_path / "stable.jsonl").read_text())["samples"] == 16


def test_training_goes_on_from_the_bundled_checkpoint(run, tmp_path):
    for name in ("scenes.json", "looks.npy", "pictures.npy"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    main(["--run", str(tmp_path), "--stage", "begin"])
    main(["--run", str(tmp_path), "--stage", "train", "--steps", "1", "--batch", "8", "--processes", "1"])
    assert losses(tmp_path, "stable.jsonl")[0] < losses(run, "stable.jsonl")[0]
