"""Union of all methods' training settings, for requests and commands that select the method by name.

Torch-free. HTTP schemas and command-line options are generated from it.
"""

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from dti.spec.registry import METHODS
from dti.spec.settings import SettingSpec, Training, setting_specs


@dataclass(frozen=True, slots=True)
class MergedSetting:
    """A setting as the union of the methods that have it.

    Attributes:
        hint: union of the methods' types.
        spec: widest bounds; the description lists differences between methods.
        default: default of the first method that has the setting.
    """

    hint: object
    spec: SettingSpec
    default: object


def merged_settings() -> dict[str, MergedSetting]:
    """Settings of all methods by name."""
    names = dict.fromkeys(name for entry in METHODS.values() for name in setting_specs(entry.settings))
    return {name: _merge(name) for name in names}


def _merge(name: str) -> MergedSetting:
    kinds = {method: entry.settings for method, entry in METHODS.items() if name in setting_specs(entry.settings)}
    hints, specs = zip(*(setting_specs(kind)[name] for kind in kinds.values()), strict=True)
    defaults = {method: _default(kind, name) for method, kind in kinds.items()}
    descriptions = {method: spec.description for method, spec in zip(kinds, specs, strict=True)}
    merged = SettingSpec(_description(descriptions, defaults), *_widest(specs))
    return MergedSetting(functools.reduce(operator.or_, hints), merged, next(iter(defaults.values())))


def _default(kind: type[Training], name: str) -> object:
    return next(setting.default for setting in fields(kind) if setting.name == name)


def _widest(specs: Sequence[SettingSpec]) -> tuple[float | None, float | None]:
    minima = [spec.minimum for spec in specs if spec.minimum is not None]
    maxima = [spec.maximum for spec in specs if spec.maximum is not None]
    return min(minima, default=None), max(maxima, default=None)


def _description(descriptions: Mapping[str, str], defaults: Mapping[str, object]) -> str:
    text = _grouped(descriptions)
    if len(descriptions) < len(METHODS):
        text += f" Only with {', '.join(descriptions)}."
    if len(set(defaults.values())) > 1:
        text += f" By default {_grouped({method: f'{value}.' for method, value in defaults.items()})}"
    return text


def _grouped(texts: Mapping[str, str]) -> str:
    """Each distinct text once, prefixed by the methods that share it; no prefix where all methods agree."""
    methods: dict[str, list[str]] = {}
    for method, text in texts.items():
        methods.setdefault(text, []).append(method)
    if len(methods) == 1:
        return next(iter(methods))
    joined = "; ".join(f"{', '.join(names)}: {text.removesuffix('.')}" for text, names in methods.items())
    return f"{joined}."
