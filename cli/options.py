"""The algorithm's settings as options of the command line, with descriptions and bounds from `dti.spec`.

A new setting in `dti.spec` is an option here without further code.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args

import typer

from dti.spec.merged import merged_settings
from dti.spec.settings import Rendering, SettingSpec, setting_specs

MODEL_HELP = "A model of the catalogue, a folder in the diffusers layout, or a Hub id."
FAMILY_HELP = "Family of a checkpoint that is not in the catalogue; default: found by its files."

_ONLINE_ONLY = frozenset({"preview_prompt", "preview_every"})


def setting(kind: type[Any], name: str) -> Any:  # noqa: ANN401 - typer's own annotation
    """An option for a setting of a dataclass of `dti.spec`."""
    return _option(setting_specs(kind)[name][1])


def with_training_settings(command: Callable[..., None]) -> Callable[..., None]:
    """A command with `**settings` replaced by one option for each setting of any method; it receives the given ones."""
    merged = merged_settings().items()
    return _with_options(command, {name: (each.hint, each.spec) for name, each in merged if name not in _ONLINE_ONLY})


def with_rendering_settings(command: Callable[..., None]) -> Callable[..., None]:
    """The same for the settings of a rendering; one frame of an interpolation is one image."""
    own = inspect.signature(command).parameters
    left_out = {"num_images"} if "frames" in own else set()
    specs = setting_specs(Rendering).items()
    return _with_options(command, {name: each for name, each in specs if name not in left_out})


def _with_options(command: Callable[..., None], offered: Mapping[str, tuple[Any, SettingSpec]]) -> Callable[..., None]:
    @functools.wraps(command)
    def wrapper(**options: Any) -> None:  # noqa: ANN401 - any type of an option
        given = {name: value for name, value in options.items() if name not in offered or value is not None}
        numbers = {name: _number_or_text(given[name]) for name in offered.keys() & given if _is_text(offered[name][0])}
        command(**{**given, **numbers})

    signature = inspect.signature(command, eval_str=True)
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_option_type(hint), _option(spec)],
        )
        for name, (hint, spec) in offered.items()
    ]
    own = [parameter for parameter in signature.parameters.values() if parameter.kind is not parameter.VAR_KEYWORD]
    wrapper.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined]
    return wrapper


def _option(spec: SettingSpec) -> Any:  # noqa: ANN401 - typer's own annotation
    bounds = "" if spec.minimum is None else f" {_number(spec.minimum)} … {_number(spec.maximum)}."
    return typer.Option(help=spec.description + bounds, show_default=False)


def _number(value: float | None) -> str:
    """A bound as it is typed: an integer in full, however large."""
    return str(value) if isinstance(value, int) else f"{value:g}"


def _option_type(hint: object) -> Any:  # noqa: ANN401 - a type hint has no type
    """The type of the option; a setting of words or numbers is parsed from text."""
    return str | None if _is_text(hint) else hint | None  # type: ignore[operator]


def _is_text(hint: object) -> bool:
    return hint is str or any(isinstance(argument, str) or _is_text(argument) for argument in get_args(hint))


def _number_or_text(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text
