"""The catalogue: the bundled model, and those that a file names."""

from dataclasses import replace

import pytest

from dti.spec.registry import FAMILIES
from service.catalogue.models import TINY, Catalogue, preset
from service.catalogue.presets import PRESETS
from service.errors import SettingsError, UnknownModelError

SD15 = """
[sd15]
family = "sd"
source = "/weights/sd15"
width = 512
height = 512
training = { kappa = 5e-5, resolution = 512 }
"""

BY_METHOD = SD15.replace(
    "kappa = 5e-5, ", "steps = 450, dti = { kappa = 5e-5, steps = 500 }, ti = { learning_rate = 2e-3 }, "
)


@pytest.fixture
def catalogue_of(tmp_path):
    def load(content):
        path = tmp_path / "models.toml"
        path.write_text(content)
        return Catalogue.load(path)

    return load


def test_the_bundled_model_is_always_in_the_catalogue(catalogue_of):
    assert list(Catalogue.load(None)) == ["tiny"]
    assert list(catalogue_of(SD15)) == ["tiny", "sd15"]
    assert catalogue_of(SD15).default is TINY


def test_a_file_names_models_and_may_name_the_default(catalogue_of):
    catalogue = catalogue_of('default = "sd15"\n' + SD15)
    assert catalogue.default is catalogue["sd15"]
    assert catalogue["sd15"].training == {"kappa": 5e-5, "resolution": 512}
    assert catalogue["sd15"].scheduler in catalogue["sd15"].schedulers


def test_an_entry_without_samplers_has_those_of_its_family(catalogue_of):
    entry = catalogue_of(SD15)["sd15"]
    assert entry.schedulers == FAMILIES["sd"].schedulers
    assert entry.scheduler == entry.schedulers[0]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_a_whole_entry_and_is_listed_only_if_the_file_names_it(catalogue_of, name):
    assert name not in Catalogue.load(None)
    entry = catalogue_of(f'[mine]\npreset = "{name}"')["mine"]
    assert entry == replace(preset(name), name="mine")
    assert entry.family in FAMILIES
    assert entry.width % entry.size_multiple_px == entry.height % entry.size_multiple_px == 0


def test_the_published_settings_of_sdxl_and_sana_are_their_presets():
    assert preset("sdxl").training_by("dti") == {
        "resolution": 768,
        "batch_size": 4,
        "steps": 400,
        "learning_rate": 0.04,
        "kappa": 1e-4,
    }
    for name in ("sana-1.6b", "sana-4.8b"):
        assert preset(name).training_by("dti") == {
            "resolution": 1024,
            "batch_size": 4,
            "steps": 500,
            "learning_rate": 0.04,
            "kappa": 5e-5,
        }


def test_an_entry_overrides_its_preset(catalogue_of):
    entry = catalogue_of(
        '[mine]\npreset = "sdxl"\nsource = "/weights/sdxl"\noffload = true\n[mine.training]\nresolution = 512'
    )["mine"]
    assert (entry.source, entry.offload, entry.width) == ("/weights/sdxl", True, 1024)
    assert entry.training_by("dti")["resolution"] == 512
    assert entry.training_by("dti")["kappa"] == 1e-4


def test_a_methods_table_applies_to_it_alone_and_overrides_the_shared_one(catalogue_of):
    entry = catalogue_of(BY_METHOD)["sd15"]
    assert entry.training_by("dti") == {"resolution": 512, "steps": 500, "kappa": 5e-5}
    assert entry.training_by("ti") == {"resolution": 512, "steps": 450, "learning_rate": 2e-3}
    assert entry.training_by("crossinit") == {"resolution": 512, "steps": 450}


def test_a_default_for_a_setting_that_a_method_lacks_is_left_out(catalogue_of):
    entry = catalogue_of(SD15)["sd15"]
    assert entry.training_by("dti") == {"kappa": 5e-5, "resolution": 512}
    assert entry.training_by("ti") == {"resolution": 512}


def test_an_unknown_model_is_refused_with_the_known_ones():
    with pytest.raises(UnknownModelError, match=r"'dall-e'.*tiny"):
        Catalogue.load(None)["dall-e"]
    assert "dall-e" not in Catalogue.load(None)


def test_an_unknown_or_missing_key_is_named(catalogue_of):
    with pytest.raises(SettingsError, match=r"'sd15'.*no 'famly'.*Known: preset, family, source"):
        catalogue_of(SD15.replace("family", "famly"))
    with pytest.raises(SettingsError, match="source and width and height must be set"):
        catalogue_of('[sd15]\nfamily = "sd"')


@pytest.mark.parametrize(
    "content",
    [
        "not toml",
        'default = "nobody"',
        '[sd15]\nfamily = "sd"',
        SD15.replace("width = 512", 'width = "wide"'),
        SD15.replace("width = 512", "width = true"),
        SD15.replace("kappa = 5e-5", "kapa = 5e-5"),
        SD15.replace("kappa = 5e-5", "kappa = -1.0"),
        SD15.replace("kappa = 5e-5", "ti = 5"),
        SD15.replace("kappa = 5e-5", "ti = { kappa = 5e-5 }"),
        SD15.replace("kappa = 5e-5", "tii = { steps = 5 }"),
        SD15 + 'colour = "blue"',
        SD15.replace("training", 'scheduler = "magic"\ntraining'),
        SD15.replace('family = "sd"', 'family = "dalle"'),
        SD15.replace("width = 512", 'schedulers = ["flow_euler"]\nwidth = 512'),
        SD15.replace("width = 512", 'offload = "yes"\nwidth = 512'),
        '[sdxl]\npreset = "sdxxl"',
        "sd15 = 5",
    ],
)
def test_a_file_with_invalid_values_is_refused(catalogue_of, content):
    with pytest.raises(SettingsError):
        catalogue_of(content)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="nowhere"):
        Catalogue.load(tmp_path / "nowhere.toml")
