"""Registry of methods and model families: one line each, classes imported on first use.

Torch-free: settings and sampler names are readable without loading a model. A class imports only its own
dependencies.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from dti.errors import InvalidSettingError
from dti.spec.settings import (
    LCM_MAX_STEPS,
    CompleteRendering,
    CrossInitTraining,
    DirectionalTraining,
    NormedTraining,
    Rendering,
    RescaledTraining,
    SubspaceTraining,
    TextualInversionTraining,
    Training,
    complete,
    setting_specs,
)


@dataclass(frozen=True, slots=True)
class _LazyClass:
    """A class by its import path "module:Class"."""

    path: str

    def load(self) -> Any:  # noqa: ANN401 - the class's type would import torch; `dti.methods` and `dti.families` state it
        """The class, imported now."""
        module, _, name = self.path.partition(":")
        return getattr(importlib.import_module(module), name)


@dataclass(frozen=True, slots=True)
class MethodEntry(_LazyClass):
    """A method: its class and the dataclass of its settings."""

    settings: type[Training]


@dataclass(frozen=True, slots=True)
class FamilyEntry(_LazyClass):
    """A model family.

    Attributes:
        schedulers: its samplers, the recommended one first (names of `dti.samplers.SAMPLERS`).
        unguided: first and last of the guidance scales without guidance, where a negative prompt has no effect.
        options: settings of a rendering that not every family has.
        no_float16: reason against float16; None where it is known to work.
    """

    schedulers: tuple[str, ...]
    unguided: tuple[float, float] = (0.0, 1.0)
    options: frozenset[str] = frozenset()
    no_float16: str | None = None


_LANGUAGE_MODEL = "its language model was trained in bfloat16, and its activations can exceed the range of float16"

METHODS: Mapping[str, MethodEntry] = {
    "dti": MethodEntry("dti.methods.directional:DirectionalInversion", DirectionalTraining),
    "ti": MethodEntry("dti.methods.textual_inversion:TextualInversion", TextualInversionTraining),
    "ti-rescaled": MethodEntry("dti.methods.rescaled:RescaledInversion", RescaledTraining),
    "ti-norm": MethodEntry("dti.methods.normed:NormedInversion", NormedTraining),
    "crossinit": MethodEntry("dti.methods.crossinit:CrossInitialization", CrossInitTraining),
    "subspace": MethodEntry("dti.methods.subspace:SubspaceInversion", SubspaceTraining),
}
"""Methods by name. A line here makes a method selectable everywhere and subject to the test suite's laws."""

_DPMPP = (
    "dpmpp_2m",
    "dpmpp_2m_karras",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_karras",
    "dpmpp_sde",
    "dpmpp_sde_karras",
)

FAMILIES: Mapping[str, FamilyEntry] = {
    "sd": FamilyEntry(
        "dti.families.sd:StableDiffusion",
        (*_DPMPP, "lcm", "euler_a", "ddim", "euler"),
        options=frozenset({"guidance_rescale", "prompt_syntax", "clip_skip"}),
    ),
    # SDXL's own scheduler is Euler; over its "leading" spacing DPM++ 2M shows artefacts below 50 steps.
    "sdxl": FamilyEntry(
        "dti.families.sdxl:StableDiffusionXL",
        ("euler", "euler_a", *_DPMPP, "lcm", "ddim"),
        options=frozenset({"guidance_rescale", "prompt_syntax"}),
    ),
    "sana": FamilyEntry("dti.families.sana:Sana", ("flow_dpmpp_2m", "flow_euler"), no_float16=_LANGUAGE_MODEL),
    "flux2": FamilyEntry("dti.families.flux2:Flux2", ("flow_euler", "flow_dpmpp_2m"), no_float16=_LANGUAGE_MODEL),
    "zimage": FamilyEntry(
        "dti.families.zimage:ZImage",
        ("flow_euler", "flow_dpmpp_2m"),
        unguided=(0.0, 0.0),
        no_float16="its denoiser returns NaN in float16",
    ),
}
"""Model families by name. A line here makes a family loadable and subject to the test suite's laws."""


def training_settings(method: str, given: Mapping[str, object], defaults: Mapping[str, object]) -> Training:
    """Validated settings of a training; see `complete`.

    Args:
        method: a name of METHODS.
        given: the requested values.
        defaults: the model's defaults.

    Raises:
        InvalidSettingError: the method has no such setting, or as for `complete`.
    """
    kind = METHODS[method].settings
    known = setting_specs(kind)
    for name in given:
        if name not in known:
            raise InvalidSettingError(name, f"the method {method!r} has no such setting. It has: {', '.join(known)}.")
    return complete(kind, given, defaults)


def check_rendering(family: str, settings: CompleteRendering) -> None:
    """Refuse settings of a rendering that a family does not have, and steps that its sampler does not have.

    Raises:
        InvalidSettingError: there is such a setting.
    """
    options = {name for entry in FAMILIES.values() for name in entry.options} - FAMILIES[family].options
    defaults = {setting.name: setting.default for setting in fields(Rendering)}
    for name in sorted(options):
        if getattr(settings, name) != defaults[name]:
            having = ", ".join(other for other, entry in FAMILIES.items() if name in entry.options)
            raise InvalidSettingError(name, f"models of the family {family!r} do not have it; these do: {having}.")
    if settings.scheduler == "lcm" and settings.steps > LCM_MAX_STEPS:
        raise InvalidSettingError("steps", f"{settings.steps} are too many for lcm: at most {LCM_MAX_STEPS}.")
