"""Registry of methods and model families: a line each, their classes imported when first used.

Torch-free: the service reads names, settings and samplers here without loading a model. Each class imports only its own
dependencies.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from dti.errors import InvalidSettingError
from dti.spec.settings import (
    CrossTraining,
    DirectionalTraining,
    FreeTraining,
    NormedTraining,
    RescaledTraining,
    SubspaceTraining,
    Training,
    complete,
    hints_of,
)

T = TypeVar("T")


class Listing(Protocol):
    """What a list says of an entry, as far as it matters here."""

    @property
    def place(self) -> str:
        """The class, as "module:Class"."""


class LazyRegistry(Mapping[str, type[T]]):
    """The classes of a list, by name; nothing is imported before it is read."""

    def __init__(self, listings: Mapping[str, Listing]) -> None:
        self._listings = listings

    def __getitem__(self, name: str) -> type[T]:
        module, _, kind = self._listings[name].place.partition(":")
        found: type[T] = getattr(importlib.import_module(module), kind)
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._listings

    def __iter__(self) -> Iterator[str]:
        return iter(self._listings)

    def __len__(self) -> int:
        return len(self._listings)


@dataclass(frozen=True, slots=True)
class MethodListing:
    """A method, named without loading it.

    Attributes:
        place: its class, as "module:Class".
        settings: what can be asked of it.
    """

    place: str
    settings: type[Training]


@dataclass(frozen=True, slots=True)
class FamilyListing:
    """A model family, named without loading it.

    Attributes:
        place: its class, as "module:Class".
        schedulers: the samplers that it knows; the first is the one that suits it best.
    """

    place: str
    schedulers: tuple[str, ...]


METHODS: Mapping[str, MethodListing] = {
    "dti": MethodListing("dti.methods.directional:DirectionalInversion", DirectionalTraining),
    "ti": MethodListing("dti.methods.textual_inversion:TextualInversion", FreeTraining),
    "ti-rescaled": MethodListing("dti.methods.rescaled:RescaledInversion", RescaledTraining),
    "ti-norm": MethodListing("dti.methods.normed:NormedInversion", NormedTraining),
    "crossinit": MethodListing("dti.methods.crossinit:CrossInitialization", CrossTraining),
    "subspace": MethodListing("dti.methods.subspace:SubspaceInversion", SubspaceTraining),
}
"""The methods by name: a line here makes one selectable everywhere and puts it under the tests' laws."""

FAMILIES: Mapping[str, FamilyListing] = {
    "sd": FamilyListing("dti.families.sd:StableDiffusion", ("dpmpp_2m", "ddim", "euler")),
    "sdxl": FamilyListing("dti.families.sdxl:StableDiffusionXL", ("dpmpp_2m", "euler", "ddim")),
    "sana": FamilyListing("dti.families.sana:Sana", ("flow_dpmpp_2m", "flow_euler")),
    "flux2": FamilyListing("dti.families.flux2:Flux2", ("flow_euler", "flow_dpmpp_2m")),
    "zimage": FamilyListing("dti.families.zimage:ZImage", ("flow_euler", "flow_dpmpp_2m")),
}
"""The model families by name: a line here makes one loadable and puts it under the tests' laws."""


def training_settings(method: str, given: Mapping[str, object], defaults: Mapping[str, object]) -> Training:
    """Settings of a training by a method; see `complete`.

    Args:
        method: a name of METHODS.
        given: what was asked for; the method has all of it.
        defaults: of the model.

    Raises:
        InvalidSettingError: the method has no such setting, or as for `complete`.
    """
    kind = METHODS[method].settings
    known = hints_of(kind)
    for name in given:
        if name not in known:
            raise InvalidSettingError(name, f"the method {method!r} has no such setting. It has: {', '.join(known)}.")
    return complete(kind, given, defaults)
