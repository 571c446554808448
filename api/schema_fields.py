"""Schema fields of requests: the algorithm's settings with descriptions and bounds, and storable text.

Name, type, default, bounds and description of a setting are declared once, in `dti.spec`.
"""

import types
import typing
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from dti.spec.merged import merged_settings
from dti.spec.settings import SettingSpec, setting_specs

_FIRST_SURROGATE, _LAST_SURROGATE = "\ud800", "\udfff"


class RequestModel(BaseModel):
    """Base of all request bodies: unknown fields and wrong types are refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)

    def given(self) -> dict[str, object]:
        """The fields that the client has sent, null included."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}

    def given_settings(self, kind: type) -> dict[str, object]:
        """The settings of a dataclass of `dti.spec` that the client has sent; null stands for the default."""
        names = {setting.name for setting in fields(kind)}
        return {name: value for name, value in self.given().items() if name in names and value is not None}


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("The character NUL cannot be stored. Leave it out.")
    if any(_FIRST_SURROGATE <= character <= _LAST_SURROGATE for character in text):
        raise ValueError("Lone surrogates cannot be stored. Leave them out.")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Text that databases can store and responses can carry."""

Given = Annotated[str, Field(min_length=1), AfterValidator(_storable)]
"""The same, not empty; an empty field of a form counts as missing."""

R = TypeVar("R", bound=RequestModel)


def with_settings(base: type[R], *kinds: type, without: AbstractSet[str] = frozenset()) -> type[R]:
    """A request model extended by one field for each setting of dataclasses of `dti.spec`.

    Args:
        base: the model with name, description and the other fields.
        kinds: the dataclasses.
        without: settings that this request does not have.
    """
    settings = {
        setting.name: (_bounded(*setting_specs(kind)[setting.name]), _field(kind, setting.name, setting.default))
        for kind in kinds
        for setting in fields(kind)
        if setting.name not in without
    }
    return _create_model(base, settings)


def with_method_settings(base: type[R]) -> type[R]:
    """A request model extended by the settings of all methods; the service refuses those of another method."""
    settings = {
        name: (_bounded(offer.hint, offer.spec), Field(default=offer.default, description=offer.spec.description))
        for name, offer in merged_settings().items()
    }
    return _create_model(base, settings)


def _create_model(base: type[R], settings: Mapping[str, tuple[Any, Any]]) -> type[R]:
    named = {"__doc__": base.__doc__, "__module__": base.__module__}
    model: type[R] = create_model(base.__name__, __base__=base, **named, **settings)  # type: ignore[call-overload]
    return model


def _field(kind: type, name: str, default: object) -> Any:  # noqa: ANN401 - pydantic types its fields so, too
    _, spec = setting_specs(kind)[name]
    return Field(default=default, description=spec.description)


def _bounded(hint: Any, spec: SettingSpec) -> Any:  # noqa: ANN401 - a type hint has no type
    """A setting's type, with bounds on its numeric members."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.Union[tuple(_bounded(member, spec) for member in typing.get_args(hint))]  # noqa: UP007 - a tuple
    if hint in (int, float):
        return Annotated[hint, Field(ge=spec.minimum, le=spec.maximum)]
    return Text if hint is str else hint
