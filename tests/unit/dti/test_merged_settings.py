"""Settings merged over all methods, and validation against the selected one."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from dti.errors import InvalidSettingError
from dti.methods import create
from dti.spec import registry
from dti.spec.merged import merged_settings
from dti.spec.registry import training_settings
from dti.spec.settings import SettingSpec, Training, setting_specs


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaping(Training):
    learning_rate: Annotated[float, SettingSpec("How far it leaps.", 1e-3, 7.0)] = 3.0
    legs: Annotated[int | None, SettingSpec("Legs to leap with.", 1, 8)] = None


@pytest.fixture
def leap(monkeypatch):
    """A method that is listed and no more."""
    entry = registry.MethodEntry("tests.toys.shared_offset:SharedOffset", Leaping)
    monkeypatch.setitem(registry.METHODS, "leap", entry)


def test_merged_settings_contain_every_methods_settings_with_the_widest_bounds():
    offered = merged_settings()
    for listing in registry.METHODS.values():
        for name, (_, spec) in setting_specs(listing.settings).items():
            widest = offered[name].spec
            assert spec.minimum is None or widest.minimum <= spec.minimum
            assert spec.maximum is None or widest.maximum >= spec.maximum


def test_a_merged_description_names_methods_only_where_they_differ():
    offered = merged_settings()
    assert offered["schedule"].spec.description == setting_specs(Training)["schedule"][1].description
    assert "Only with dti." in offered["kappa"].spec.description
    assert "ti, ti-rescaled: 0.02" in offered["learning_rate"].spec.description
    assert "dti: Every update rotates a direction by atan(learning_rate)" in offered["learning_rate"].spec.description


def test_a_registry_line_merges_a_methods_settings_and_loads_its_class(leap):
    offered = merged_settings()
    assert (offered["legs"].spec.minimum, offered["legs"].spec.maximum) == (1, 8)
    assert "Only with leap." in offered["legs"].spec.description
    assert offered["learning_rate"].spec.maximum == 7.0
    assert training_settings("leap", {"legs": 4}, {}) == Leaping(legs=4)
    assert type(create("leap")).__name__ == "SharedOffset"


@pytest.mark.parametrize("method", registry.METHODS)
def test_a_method_refuses_other_methods_settings_and_lists_its_own(method):
    known = setting_specs(registry.METHODS[method].settings)
    others = [name for name in merged_settings() if name not in known]
    assert others
    for name in others:
        with pytest.raises(InvalidSettingError, match=rf"{name}: the method '{method}' has no such setting.*steps"):
            training_settings(method, {name: 1}, {})


def test_given_settings_override_the_models_defaults_and_those_the_methods():
    settings = training_settings("crossinit", {"steps": 7}, {"steps": 9, "resolution": 512})
    assert (settings.steps, settings.resolution, settings.batch_size) == (7, 512, 8)
