"""JSON decoding into dataclasses, by their type hints."""

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")


def decode(kind: type[T], value: Any) -> T:  # noqa: ANN401 - JSON holds anything
    """A JSON value as a type; unknown fields are ignored, and missing ones are None."""
    decoded: T = _decode(kind, value)
    return decoded


def _decode(kind: Any, value: Any) -> Any:  # noqa: ANN401 - a type hint has no type, and JSON holds anything
    if value is None:
        return None
    if kind in (datetime, date):
        return kind.fromisoformat(value)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        (kind,) = (argument for argument in arguments if argument is not types.NoneType)
        return _decode(kind, value)
    if origin is list:
        return [_decode(arguments[0], item) for item in value]
    if origin is dict:
        return {key: _decode(arguments[1], item) for key, item in value.items()}
    return _object(origin or kind, arguments, value) if is_dataclass(origin or kind) else value


def _object(kind: Any, arguments: tuple[Any, ...], value: Mapping[str, Any]) -> Any:  # noqa: ANN401 - see above
    parameters = dict(zip(getattr(kind, "__parameters__", ()), arguments, strict=True))
    hints = {name: _substituted(hint, parameters) for name, hint in _hints(kind).items()}
    return kind(**{name: _decode(hint, value.get(name)) for name, hint in hints.items()})


def _substituted(hint: Any, types_by_parameter: Mapping[Any, Any]) -> Any:  # noqa: ANN401 - a type hint has no type
    """A hint with a generic dataclass's parameters replaced by its types."""
    if parameters := getattr(hint, "__parameters__", ()):
        return hint[tuple(types_by_parameter[parameter] for parameter in parameters)]
    return hint


@cache
def _hints(kind: Any) -> dict[str, Any]:  # noqa: ANN401 - see above
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
