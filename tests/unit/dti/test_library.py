"""The library for scripts and notebooks."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

import dti
from dti.errors import EmbeddingFormatError, InvalidSettingError, NoPicturesError

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def model():
    return dti.load("tiny", device="cpu")


def train(model, name="purple-owl", **settings):
    given = {"steps": 2, "seed": 1, "progress": False, **settings}
    return dti.train(model, EXAMPLES / name, class_word=name.rpartition("-")[2], name=name, **given)


@pytest.fixture(scope="module")
def owl(model):
    return train(model)


@pytest.fixture(scope="module")
def cat(model):
    return train(model, "tuxedo-cat")


def test_a_concept_is_trained_and_rendered_in_a_line_each(owl):
    pictures = owl.render("a photo of <purple-owl> on the beach", num_images=2, seed=3, steps=2)
    assert [picture.size for picture in pictures] == [(64, 64)] * 2
    assert pictures[0].tobytes() != pictures[1].tobytes()
    assert owl.render(seed=3, steps=2)[0].tobytes() == owl.render(seed=3, steps=2)[0].tobytes()


def test_pictures_appear_in_a_notebook(owl):
    html = owl.render(steps=1, num_images=3, seed=1)._repr_html_()
    assert html.count("data:image/webp;base64,") == 3


def test_the_curve_has_a_point_per_update(owl):
    assert [point.step for point in owl.curve] == [1, 2]
    assert owl.curve[1].angle_rad > owl.curve[0].angle_rad > 0


def test_its_class_word_is_a_concepts_nearest_neighbour(owl):
    assert owl.neighbours(1)["text_encoder"][0][0]["token"] == "owl"


def test_a_saved_concept_is_opened_with_the_same_rows(owl, model, tmp_path):
    opened = dti.open_concept(owl.save(tmp_path / "owl.safetensors"), model)
    assert opened.name == "purple-owl"
    assert torch.equal(opened.embedding.rows["text_encoder"].vectors, owl.embedding.rows["text_encoder"].vectors)
    (tmp_path / "other").write_bytes(b"none")
    with pytest.raises(EmbeddingFormatError):
        dti.open_concept(tmp_path / "other", model)


def test_an_interpolation_begins_and_ends_with_the_concepts_own_pictures(owl, cat):
    pictures = dti.interpolate(owl, cat, frames=3, seed=5, steps=2)
    assert pictures[0].tobytes() == owl.render(seed=5, steps=2)[0].tobytes()
    assert pictures[2].tobytes() == cat.render(seed=5, steps=2)[0].tobytes()
    with pytest.raises(InvalidSettingError, match="fewer than 2"):
        dti.interpolate(owl, cat, frames=1)
    with pytest.raises(InvalidSettingError, match="exactly one"):
        dti.interpolate(owl, cat, "a photo")


def test_images_paths_and_folders_are_the_same_pictures(model, owl):
    paths = sorted((EXAMPLES / "purple-owl").glob("*.png"))
    images = [Image.open(path) for path in paths]
    for sources in (paths, images, str(EXAMPLES / "purple-owl")):
        again = dti.train(model, sources, class_word="owl", name="purple-owl", steps=2, seed=1, progress=False)
        assert again.embedding.to_bytes() == owl.embedding.to_bytes()
    for image in images:
        image.close()


def test_progress_is_told_to_a_callback_that_may_end_it(model):
    seen = []

    def stop(update):
        seen.append(update.run.step)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(model, on_update=stop)
    assert seen == [1]


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"method": "dreambooth"}, InvalidSettingError, "crossinit"),
        ({"kapa": 1}, InvalidSettingError, "no such setting"),
        ({"steps": 0}, InvalidSettingError, "0"),
    ],
)
def test_settings_that_do_not_exist_or_fit_are_refused_with_the_remedy(model, changes, error, message):
    with pytest.raises(error, match=message):
        train(model, **changes)


def test_names_and_pictures_are_checked(model, tmp_path):
    with pytest.raises(InvalidSettingError, match="my-dog"):
        dti.train(model, [], class_word="owl", name="My Owl")
    with pytest.raises(NoPicturesError, match="no folder"):
        dti.train(model, tmp_path / "none", class_word="owl", name="owl")
    with pytest.raises(NoPicturesError, match="at least one"):
        dti.train(model, tmp_path, class_word="owl", name="owl")
    with pytest.raises(InvalidSettingError, match="sdxl"):
        dti.load("tiny", family="sd9")


def test_an_unknown_name_of_the_package_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'lora'"):
        _ = dti.lora


def test_the_notebook_of_examples_runs(monkeypatch):
    cells = json.loads((EXAMPLES / "notebook.ipynb").read_text("utf-8"))["cells"]
    source = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert source.count("steps=60") == 2
    monkeypatch.chdir(EXAMPLES)
    names = {}
    exec(compile(source.replace("steps=60", "steps=2"), "notebook.ipynb", "exec"), names)
    assert names["owl"].embedding.steps == 2
