"""Fields of requests: settings of the algorithm with their sentences and bounds, and text that can be stored.

A setting's name, type, default, bounds and sentence stand once, in `dti.spec`; here they become fields of a schema.
"""

import types
import typing
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import fields
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model

from dti.spec.merged import offers
from dti.spec.settings import Allowed, hints_of

_FIRST_SURROGATE, _LAST_SURROGATE = "\ud800", "\udfff"


class Request(BaseModel):
    """The root of what clients send: a field that is not known, or of another type, is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)

    def given(self, without: AbstractSet[str] = frozenset()) -> dict[str, Any]:
        """What the client said, by the contract's names; what it left out is left out."""
        return self.model_dump(by_alias=True, exclude_unset=True, exclude=set(without))


def _storable(text: str) -> str:
    if "\0" in text:
        raise ValueError("the character NUL cannot be stored")
    if any(_FIRST_SURROGATE <= character <= _LAST_SURROGATE for character in text):
        raise ValueError("halves of characters (lone surrogates) cannot be stored")
    return text


Text = Annotated[str, AfterValidator(_storable)]
"""Text of a client that any database and any answer can hold."""

Given = Annotated[str, Field(min_length=1), AfterValidator(_storable)]
"""The same where something has to be said; of a form's empty field it counts as left out."""

R = TypeVar("R", bound=Request)


def with_settings(base: type[R], *kinds: type, without: AbstractSet[str] = frozenset()) -> type[R]:
    """A request with one more field for each setting of some dataclasses of `dti.spec`.

    Args:
        base: gives the name, the sentence and the fields that are no settings.
        kinds: the dataclasses.
        without: settings that have no meaning in this request.
    """
    settings = {
        setting.name: (_bounded(*hints_of(kind)[setting.name]), _field(kind, setting.name, setting.default))
        for kind in kinds
        for setting in fields(kind)
        if setting.name not in without
    }
    return _made(base, settings)


def with_method_settings(base: type[R]) -> type[R]:
    """A request with one more field for each setting of any method; those of others are for the service to refuse."""
    settings = {
        name: (_bounded(offer.hint, offer.allowed), Field(default=offer.default, description=offer.allowed.sentence))
        for name, offer in offers().items()
    }
    return _made(base, settings)


def _made(base: type[R], settings: Mapping[str, tuple[Any, Any]]) -> type[R]:
    named = {"__doc__": base.__doc__, "__module__": base.__module__}
    made: type[R] = create_model(base.__name__, __base__=base, **named, **settings)  # type: ignore[call-overload]
    return made


def _field(kind: type, name: str, default: object) -> Any:  # noqa: ANN401 - pydantic types its fields so, too
    _, allowed = hints_of(kind)[name]
    return Field(default=default, description=allowed.sentence)


def _bounded(hint: Any, allowed: Allowed) -> Any:  # noqa: ANN401 - a type hint has no type
    """A setting's type, with the bounds at its numbers and nowhere else."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return typing.Union[tuple(_bounded(member, allowed) for member in typing.get_args(hint))]  # noqa: UP007 - a tuple
    if hint in (int, float):
        return Annotated[hint, Field(ge=allowed.low, le=allowed.high)]
    return Text if hint is str else hint
