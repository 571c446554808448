"""Validation errors of requests as sentences: what is wrong with a field, and what to send instead.

The value is never repeated: it may be a secret, or unfit for JSON.
"""

from collections.abc import Callable, Mapping
from typing import Any

from api.unknown_fields import fields_at, suggestion
from dti.spec.prompts import NAME_PATTERN

_PATTERNS: Mapping[str, str] = {
    f"^{NAME_PATTERN}$": "Use lowercase letters, digits and hyphens, at most 63, such as my-dog.",
    r"^(auto|[0-9]{1,5}x[0-9]{1,5})$": "Send WIDTHxHEIGHT, such as 512x512, or auto.",
    r"^[!-~]([ -~]{0,253}[!-~])?$": "Use 1 to 255 printable ASCII characters, the first and the last not a space.",
}
"""The sentence of a pattern; the pattern itself where there is none."""


# `Any`: pydantic describes an error by an untyped dictionary.
def _pattern(context: Mapping[str, Any]) -> str:
    return _PATTERNS.get(context["pattern"], f"It does not match the pattern {context['pattern']}.")


def _value_error(context: Mapping[str, Any]) -> str:
    """The sentence of one of our own checks; the framework's own names a class of its code."""
    text = str(context["error"])
    return "A file is needed, with a file name." if text.startswith("Expected UploadFile") else text


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
    "string_pattern_mismatch": _pattern,
    "value_error": _value_error,
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
