"""Misspelt names in requests: unknown query parameters are refused, and every refusal suggests the nearest name."""

import difflib
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from service.errors import InvalidInputError

_SHOWN = 40
"""Most known names in a message."""


async def reject_unknown_parameters(request: Request) -> None:
    """Refuse a query parameter that the route does not have: it would be ignored silently.

    Raises:
        InvalidInputError: there is one.
    """
    route = request.scope.get("route")
    if not isinstance(route, APIRoute):
        return
    known = frozenset(_parameters(route.dependant))
    for name in request.query_params:
        if name not in known:
            raise InvalidInputError(name, f"There is no query parameter {name!r}. {suggestion(name, known)}")


def suggestion(name: str, known: Collection[str]) -> str:
    """The name that was probably meant, or else all that are known."""
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if nearest:
        return f"Did you mean `{nearest[0]}`?"
    names = sorted(known)
    if not names:
        return "This call has none."
    more = ", …" if len(names) > _SHOWN else ""
    return f"Known: {', '.join(names[:_SHOWN])}{more}."


def fields_at(route: object, location: Sequence[int | str]) -> Collection[str]:
    """The names of the fields beside the one at a location of a route's body, as pydantic tells locations."""
    if not isinstance(route, APIRoute) or route.body_field is None:
        return ()
    models: list[type[BaseModel]] = list(_models(route.body_field.field_info.annotation))
    for part in location[1:-1]:
        fields = [field for model in models for name, field in _named(model).items() if name == part]
        # A part that names no field is an index, or the name of a member of a union.
        models = [model for field in fields for model in _models(field.annotation)] if fields else models
    return {name for model in models for name in _named(model)}


def _parameters(dependant: Dependant) -> Iterator[str]:
    """The query parameters of a route and of what it depends on."""
    yield from (field.alias for field in dependant.query_params)
    for part in dependant.dependencies:
        yield from _parameters(part)


def _named(model: type[BaseModel]) -> Mapping[str, typing.Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: object) -> Iterable[type[BaseModel]]:
    """The models in a type: itself, or members of a union, a list or an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for member in typing.get_args(annotation):
        yield from _models(member)
