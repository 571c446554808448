"""Validation errors of requests as sentences: what is wrong with a field, and what to send instead.

The value is never repeated: it may be a secret, or unfit for JSON.
"""

from collections.abc import Callable, Mapping
from typing import Any

from api.unknown_fields import fields_at, suggestion

_SENTENCES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "The field is missing. Send it.",
    "string_type": lambda _: "A text is needed.",
    "int_type": lambda _: "A whole number is needed.",
    "int_parsing": lambda _: "A whole number is needed.",
    "int_from_float": lambda _: "A whole number is needed.",
    "float_type": lambda _: "A number is needed.",
    "float_parsing": lambda _: "A number is needed.",
    "finite_number": lambda _: "A finite number is needed.",
    "bool_type": lambda _: "true or false is needed.",
    "bool_parsing": lambda _: "true or false is needed.",
    "list_type": lambda _: "A list is needed.",
    "dict_type": lambda _: "An object is needed.",
    "model_type": lambda _: "An object is needed.",
    "model_attributes_type": lambda _: "An object is needed.",
    "none_required": lambda _: "null is needed.",
    "greater_than_equal": lambda context: f"It is too small: at least {context['ge']}.",
    "less_than_equal": lambda context: f"It is too large: at most {context['le']}.",
    "string_too_short": lambda context: f"It is too short: at least {context['min_length']} characters.",
    "string_too_long": lambda context: f"It is too long: at most {context['max_length']} characters.",
    "too_short": lambda context: f"It has too few entries: at least {context['min_length']}.",
    "too_long": lambda context: f"It has too many entries: at most {context['max_length']}.",
    "literal_error": lambda context: f"The value is not allowed. Choose one of: {context['expected']}.",
    "string_pattern_mismatch": lambda context: f"It does not match the pattern {context['pattern']}.",
    "value_error": lambda context: str(context["error"]),
    "timezone_aware": lambda _: "The time needs a zone, such as Z at its end.",
    "json_invalid": lambda _: "It is not JSON. Send a JSON object.",
    "json_type": lambda _: "It is not JSON. Send a JSON object.",
}
"""By pydantic's type of an error; others keep pydantic's sentence."""


# `Any`: pydantic describes an error by an untyped dictionary.
def sentence(route: object, error: Mapping[str, Any]) -> str:
    """The sentence for an error of a route's request, with the nearest known name for an unknown one."""
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"There is no such field. {suggestion(str(error['loc'][-1]), fields_at(route, error['loc']))}"
    if kind in _SENTENCES:
        return _SENTENCES[kind](error.get("ctx", {}))
    return str(error["msg"])
