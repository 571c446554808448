"""The catalogue: the text-to-image models of a service, by name. It loads none of them.

The bundled model `tiny` is always in it. A TOML file adds others; a preset fills in the missing keys of an entry:

    default = "sdxl"

    [sdxl]
    preset = "sdxl"

    [mine]
    family = "sd"
    source = "/weights/mine"      # a folder or a Hub id
    width = 512
    height = 512

    [mine.training]               # for every method that has the setting
    resolution = 512

    [mine.training.dti]           # for one method
    kappa = 5e-5
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dti.errors import InvalidSettingError
from dti.spec.registry import FAMILIES, METHODS
from dti.spec.settings import complete, setting_specs
from service.catalogue.presets import PRESETS, Toml
from service.errors import SettingsError, UnknownModelError

DTYPE_NAMES = ("auto", "bfloat16", "float16", "float32")

_NOTHING: Toml = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """A model, and its defaults for requests.

    Args:
        source: a Hub id, a folder, or "bundled:tiny".
        size_multiple_px: widths and heights are multiples of it.
        max_px: longest side of a request.
        scheduler: the default one.
        schedulers: the allowed ones.
        offload: whether text encoders and autoencoder are on a GPU only while in use.
        dtype: dtype of denoiser and text encoders; "auto" for the device's best that the family stands.
        training: defaults of a training; see `training_by`.
    """

    name: str
    family: str
    source: str
    width: int
    height: int
    scheduler: str
    schedulers: tuple[str, ...]
    size_multiple_px: int = 8
    max_px: int = 1024
    steps: int = 30
    guidance_scale: float = 7.5
    offload: bool = False
    dtype: str = "auto"
    training: Toml = field(default_factory=lambda: _NOTHING)

    def training_by(self, method: str) -> Toml:
        """The model's defaults of a training by a method.

        Keys of `training` itself apply to every method that has the setting; a table named as a method applies to that
        method alone, and takes precedence.
        """
        known = setting_specs(METHODS[method].settings)
        shared = {name: value for name, value in self.training.items() if name in known}
        return {**shared, **self.training.get(method, {})}


TINY = ModelEntry(
    name="tiny",
    family="sd",
    source="bundled:tiny",
    width=64,
    height=64,
    size_multiple_px=16,
    max_px=128,
    steps=20,
    guidance_scale=4.0,
    scheduler="ddim",
    schedulers=FAMILIES["sd"].schedulers,
    training=MappingProxyType({"resolution": 64}),
)


class Catalogue(Mapping[str, ModelEntry]):
    """The models by name; an unknown name raises UnknownModelError."""

    def __init__(self, entries: Mapping[str, ModelEntry], default: str) -> None:
        self._entries = dict(entries)
        self.default = self[default]

    @classmethod
    def load(cls, path: Path | None) -> "Catalogue":
        """The bundled model and those of a TOML file, if there is one.

        Raises:
            SettingsError: the file cannot be read, or an entry is invalid.
        """
        content = dict(_content(path)) if path else {}
        default = content.pop("default", TINY.name)
        entries = {TINY.name: TINY, **{name: _entry(name, values) for name, values in content.items()}}
        if default not in entries:
            raise SettingsError(f"{path}: the default model {default!r} is not in the catalogue.")
        return cls(entries, default)

    def subset(self, names: str | None) -> tuple[str, ...]:
        """The models of a list with commas, in its order; all of them for None.

        Raises:
            SettingsError: the catalogue has no such model.
        """
        if names is None:
            return tuple(self._entries)
        chosen = tuple(name.strip() for name in names.split(",") if name.strip())
        if unknown := [name for name in chosen if name not in self._entries]:
            known = ", ".join(self._entries)
            raise SettingsError(
                f"DTI_WORKER_MODELS names {unknown[0]!r}, which is not in the catalogue. Known: {known}."
            )
        return chosen

    def __getitem__(self, name: str) -> ModelEntry:
        if name not in self._entries:
            raise UnknownModelError(name, tuple(self._entries))
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def _content(path: Path) -> Toml:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"The model catalogue {path} cannot be read: {error}") from error


def preset(name: str) -> ModelEntry:
    """The entry of a preset by itself, for offline commands."""
    return _entry(name, {"preset": name})


def _entry(name: str, values: Any) -> ModelEntry:  # noqa: ANN401 - TOML holds anything
    try:
        filled = _filled(values)
        _check_keys(filled)
        entry = ModelEntry(name=name, **filled)
        _check_types(entry)
        _check_training(entry)
    except (TypeError, ValueError, InvalidSettingError) as error:
        raise SettingsError(f"The model {name!r} of the catalogue is wrong: {error}") from error
    return entry


def _filled(values: Toml) -> Toml:
    """An entry's keys, over those of its preset and its family."""
    known = "Known: " + ", ".join(PRESETS)
    if "preset" in values and values["preset"] not in PRESETS:
        raise ValueError(f"there is no preset {values['preset']!r}. {known}.")
    preset = PRESETS[values["preset"]] if "preset" in values else _NOTHING
    filled = {**preset, **{key: value for key, value in values.items() if key != "preset"}}
    if "training" in preset:
        filled["training"] = {**preset["training"], **values.get("training", {})}
    if "family" in filled:
        filled["schedulers"] = tuple(filled.get("schedulers", _schedulers(filled["family"])))
        filled.setdefault("scheduler", next(iter(filled["schedulers"]), None))
    return filled


def _schedulers(family: str) -> tuple[str, ...]:
    if family not in FAMILIES:
        raise ValueError(f"there is no family {family!r}. Known: {', '.join(FAMILIES)}.")
    return FAMILIES[family].schedulers


def _check_keys(values: Toml) -> None:
    settings = [setting for setting in fields(ModelEntry) if setting.name != "name"]
    known = ["preset", *(setting.name for setting in settings)]
    needed = [setting.name for setting in settings if setting.default is setting.default_factory is MISSING]
    if unknown := [key for key in values if key not in known]:
        raise ValueError(f"there is no {unknown[0]!r}. Known: {', '.join(known)}.")
    if missing := [key for key in needed if key not in values]:
        raise ValueError(f"{' and '.join(missing)} must be set, or a preset.")


def _check_training(entry: ModelEntry) -> None:
    """Check that every setting belongs to a method, and that every method can be completed."""
    known = {name for listing in METHODS.values() for name in setting_specs(listing.settings)}
    if unknown := [name for name in entry.training if name not in known and name not in METHODS]:
        raise ValueError(f"no method has a setting {unknown[0]!r}, and there is no method of that name")
    for method, listing in METHODS.items():
        complete(listing.settings, entry.training_by(method))


def _check_types(entry: ModelEntry) -> None:
    for setting in fields(entry):
        value, default = getattr(entry, setting.name), getattr(TINY, setting.name)
        if not _is_alike(value, default):
            raise TypeError(f"{setting.name} is {value!r}")
    if unknown := [name for name in entry.schedulers if name not in _schedulers(entry.family)]:
        raise ValueError(f"the family {entry.family!r} has no scheduler {unknown[0]!r}")
    if entry.dtype not in DTYPE_NAMES:
        raise ValueError(f"dtype is {entry.dtype!r}, not one of {', '.join(DTYPE_NAMES)}")
    if entry.scheduler not in entry.schedulers:
        raise ValueError(f"scheduler {entry.scheduler!r} is not among its schedulers {entry.schedulers}")


def _is_alike(value: object, default: object) -> bool:
    """Whether a value has the type of a default; an int is accepted for a float."""
    if isinstance(value, bool) or isinstance(default, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, Mapping):
        return isinstance(value, Mapping)
    return isinstance(value, int | float if isinstance(default, float) else type(default))
