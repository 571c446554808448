"""A whole study on the bundled model: frozen, run, resumed, sharded, reported."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from cli.main import app
from dti.errors import StudyError
from dti.families import load
from dti.models.tiny import CHECKPOINT
from dti.study.files import read_table
from dti.study.items import pictures, shard, trainings
from dti.study.manifest import CLASS_WORD, FILE, Manifest, freeze, thaw
from dti.study.plans import SIZES, order_of, published_arms, read_concepts, read_prompts
from dti.study.rendering import render
from dti.study.training import train
from tools.tiny.study import known_concepts, write_concept

pytestmark = pytest.mark.slow
JUDGE = "tools.tiny.study:MiniatureJudge"


def run(*arguments):
    result = CliRunner().invoke(app, ["study", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture(scope="module")
def concepts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("concepts")
    for concept in known_concepts()[:3]:
        write_concept(concept, folder)
    return folder


@pytest.fixture(scope="module")
def made(concepts, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    prompts = folder / "prompts.json"
    prompts.write_text(json.dumps(["a photo of {}", {"text": "in the snow, {}", "asks": {"background": "snow"}}]))
    short = ["--judge", JUDGE, "--steps", 2, "--denoising-steps", 2]
    output = run("new", folder / "s", "--concepts", concepts, "--prompts", prompts, *short)
    assert "trainings" in output
    run("run", folder / "s")
    return folder / "s"


@pytest.fixture(scope="module")
def manifest(made):
    return thaw(made)


@pytest.fixture(scope="module")
def family():
    return load("sd", CHECKPOINT, "cpu")


def test_every_arm_concept_prompt_and_seed_has_a_row(made, manifest):
    rows = [row for row in read_table(made / "scores.csv") if row["arm"] != "references" and not row["other"]]
    places = {(row["arm"], row["concept"], row["prompt"], row["seed"]) for row in rows}
    arms = 1 + len(manifest.arms)
    assert len(places) == len(rows) == arms * len(manifest.concepts) * len(manifest.prompts) * len(manifest.seeds)
    assert {row["arm"] for row in rows} >= {CLASS_WORD, "dti", "ti 0.005"}


def test_every_training_has_its_losses_on_the_same_pictures(made, manifest):
    rows = read_table(made / "losses.csv")
    assert len(rows) == (1 + len(manifest.arms)) * len(manifest.concepts) * 8
    assert all(float(row["loss_inside"]) > 0 for row in rows)


@pytest.mark.parametrize("page", ["report.html", "blind.html"])
def test_pages_need_nothing_from_elsewhere(made, page):
    text = (made / page).read_text("utf-8")
    assert "data:image/webp" in text
    for reference in ('src="http', 'href="http', "@import", "url(http"):
        assert reference not in text


def test_the_blind_page_does_not_show_the_arms(made):
    text = (made / "blind.html").read_text("utf-8")
    assert ">dti<" not in text


def test_an_interrupted_study_renders_and_trains_only_the_missing(made, manifest, family):
    lost = pictures(manifest)[5].file(made)
    item = trainings(manifest)[1]
    before = lost.read_bytes(), item.embedding(made).read_bytes()
    lost.unlink()
    item.curve(made).unlink()
    done = []
    train(manifest, family, made, together=1, on_done=done.append)
    render(manifest, family, made, together=1, on_done=done.append)
    assert len(done) == 2
    assert lost.exists()
    assert len(item.embedding(made).read_bytes()) == len(before[1])


def test_shards_share_the_work_without_a_remainder(manifest):
    items = pictures(manifest)
    parts = [shard(items, f"{number}/3") for number in range(3)]
    assert sorted(item.key for part in parts for item in part) == sorted(item.key for item in items)
    with pytest.raises(StudyError, match="3/3"):
        shard(items, "3/3")


def test_all_methods_draw_the_same_numbers(manifest):
    settings = [arm.settings for arm in manifest.arms if arm.tuned or arm.name == "dti"]
    assert {(entry["seed"], entry["batch_size"], entry["steps"]) for entry in settings} == {(0, 4, 2)}


def test_a_manifest_survives_its_file(manifest):
    assert Manifest.from_json(manifest.to_json()) == manifest


def test_a_frozen_study_is_not_replaced(made, manifest):
    freeze(manifest, made)
    with pytest.raises(StudyError, match="another study"):
        freeze(replace(manifest, title="other"), made)


def test_a_changed_picture_is_noticed(concepts, manifest, tmp_path):
    freeze(manifest, tmp_path)
    path = concepts / manifest.concepts[0].references[0].file
    kept = path.read_bytes()
    path.write_bytes(kept + b"x")
    try:
        with pytest.raises(StudyError, match="was changed"):
            thaw(tmp_path)
    finally:
        path.write_bytes(kept)


def test_a_folder_without_a_study_is_refused_with_the_remedy(tmp_path):
    with pytest.raises(StudyError, match="dti study new"):
        thaw(tmp_path)
    (tmp_path / FILE).write_text("{}")
    with pytest.raises(StudyError, match="cannot be read"):
        thaw(tmp_path)


def test_dreambenchs_own_layout_is_read(concepts, tmp_path):
    (tmp_path / "backpack_dog").mkdir()
    picture = next(concepts.rglob("1.png"))
    (tmp_path / "backpack_dog" / "00.png").write_bytes(picture.read_bytes())
    (tmp_path / "prompts_and_classes.txt").write_text("Classes\nsubject_name,class\nbackpack_dog,backpack\n")
    (found,) = read_concepts(tmp_path)
    assert (found.name, found.class_word, len(found.references)) == ("backpack-dog", "backpack", 1)


def test_prompts_say_where_their_context_stands(tmp_path):
    assert [order_of(text) for text in ("a photo of {}", "a photo of {} in Rome", "in Rome, a {}")] == [
        "none",
        "behind",
        "front",
    ]
    (tmp_path / "p.json").write_text('["a photo"]')
    with pytest.raises(StudyError, match="exactly one"):
        read_prompts(tmp_path / "p.json")


def test_the_full_plan_has_every_baseline_at_three_rates_and_the_fronts(family):
    arms = published_arms({"dti": {}}, 64, SIZES["full"], family)
    assert [sum(arm.tuned == method for arm in arms) for method in ("ti", "ti-rescaled", "crossinit")] == [3, 3, 3]
    assert {arm.front for arm in arms} >= {"dti over kappa", "dti over norm", "dti over updates"}
    for arm in arms:
        arm.training()
