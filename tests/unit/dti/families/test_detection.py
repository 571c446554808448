"""Detection of a checkpoint's family, and revisions of Hub repositories."""

import json

import pytest

from dti.errors import ModelUnavailableError
from dti.families import sources
from dti.families.detection import detect
from dti.models.tiny import CHECKPOINT
from dti.spec.registry import FAMILIES


@pytest.mark.parametrize(
    ("pipeline", "family"),
    [
        ("StableDiffusionPipeline", "sd"),
        ("StableDiffusionXLPipeline", "sdxl"),
        ("SanaPipeline", "sana"),
        ("Flux2KleinPipeline", "flux2"),
        ("ZImagePipeline", "zimage"),
    ],
)
def test_a_folders_pipeline_tells_its_family(pipeline, family, tmp_path):
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": pipeline}))
    assert detect(tmp_path) == family
    assert family in FAMILIES


def test_the_bundled_checkpoint_is_of_its_family():
    assert detect(CHECKPOINT) == "sd"


def test_another_pipeline_and_no_pipeline_are_refused_by_name(tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "KandinskyPipeline"}')
    with pytest.raises(ModelUnavailableError, match="KandinskyPipeline"):
        detect(tmp_path)
    (tmp_path / "model_index.json").unlink()
    with pytest.raises(ModelUnavailableError, match="model_index"):
        detect(tmp_path)
    with pytest.raises(ModelUnavailableError, match="no Hub id"):
        detect("nowhere at all")


def test_a_hub_id_may_carry_a_revision(monkeypatch, tmp_path):
    (tmp_path / "model_index.json").write_text('{"_class_name": "SanaPipeline"}')
    asked = []

    def download(name, *, revision, allow_patterns):
        asked.append((name, revision, allow_patterns))
        return tmp_path

    monkeypatch.setattr(sources, "snapshot_download", download)
    assert detect("someone/model@v1.0") == "sana"
    assert detect("someone/model") == "sana"
    assert asked == [
        ("someone/model", "v1.0", ["model_index.json"]),
        ("someone/model", None, ["model_index.json"]),
    ]
