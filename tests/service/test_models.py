"""The catalogue: the bundled model, and those that a file names."""

import pytest

from service.errors import SettingsError, UnknownModelError
from service.models import TINY, Catalogue

SD15 = """
[sd15]
family = "sd"
source = "/weights/sd15"
width = 512
height = 512
training = { kappa = 5e-5, resolution = 512 }
"""


@pytest.fixture
def catalogue_of(tmp_path):
    def load(content):
        path = tmp_path / "models.toml"
        path.write_text(content)
        return Catalogue.load(path)

    return load


def test_the_bundled_model_is_always_there(catalogue_of):
    assert list(Catalogue.load(None)) == ["tiny"]
    assert list(catalogue_of(SD15)) == ["tiny", "sd15"]
    assert catalogue_of(SD15).default is TINY


def test_a_file_names_models_and_may_name_the_default(catalogue_of):
    catalogue = catalogue_of('default = "sd15"\n' + SD15)
    assert catalogue.default is catalogue["sd15"]
    assert catalogue["sd15"].training == {"kappa": 5e-5, "resolution": 512}
    assert catalogue["sd15"].scheduler in catalogue["sd15"].schedulers


def test_an_unknown_model_is_refused_with_those_that_there_are():
    with pytest.raises(UnknownModelError, match=r"'dall-e'.*tiny"):
        Catalogue.load(None)["dall-e"]
    assert "dall-e" not in Catalogue.load(None)


def test_a_misspelt_or_missing_key_is_named(catalogue_of):
    with pytest.raises(SettingsError, match=r"'sd15'.*no 'famly'.*Known: family, source"):
        catalogue_of(SD15.replace("family", "famly"))
    with pytest.raises(SettingsError, match="does not say its source and width and height"):
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
        SD15 + 'colour = "blue"',
        SD15.replace("training", 'scheduler = "magic"\ntraining'),
        "sd15 = 5",
    ],
)
def test_a_file_that_says_what_is_not_understood_is_refused(catalogue_of, content):
    with pytest.raises(SettingsError):
        catalogue_of(content)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="nowhere"):
        Catalogue.load(tmp_path / "nowhere.toml")
