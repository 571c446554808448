"""The algorithm's settings as options of the command line, each with its sentence and bounds.

What can be asked of a training stands in `dti.spec`, method by method; a new setting there is an option here.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, get_args

import typer

from dti.spec.merged import merged_settings
from dti.spec.settings import SettingSpec, setting_specs

_SHOWN_ONLY_BY_THE_SERVICE = frozenset({"preview_prompt", "preview_every"})


def setting(kind: type[Any], name: str) -> Any:  # noqa: ANN401 - typer's own annotation
    """An option for a setting of one kind."""
    return _option(setting_specs(kind)[name][1])


def with_training_settings(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose `**given` becomes an option for each setting of any method; it gets those that were said."""
    offered = {name: offer for name, offer in merged_settings().items() if name not in _SHOWN_ONLY_BY_THE_SERVICE}

    @functools.wraps(command)
    def taking(**said: Any) -> None:  # noqa: ANN401 - whatever the options are
        unsaid = [name for name in offered if said[name] is None]
        worded = {name: _number_or_word(said[name]) for name in offered if _takes_words(offered[name].hint)}
        command(**{name: value for name, value in {**said, **worded}.items() if name not in unsaid})

    own = inspect.signature(command, eval_str=True)
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[_typed(offer.hint), _option(offer.spec)],
        )
        for name, offer in offered.items()
    ]
    kept = [one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
    taking.__signature__ = own.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    return taking


def _option(spec: SettingSpec) -> Any:  # noqa: ANN401 - typer's own annotation
    bounds = "" if spec.minimum is None else f" {spec.minimum:g} … {spec.maximum:g}."
    return typer.Option(help=spec.description + bounds, show_default=False)


def _typed(hint: object) -> Any:  # noqa: ANN401 - a type hint has no type
    """The type that typer is to read; words and numbers in one are words to it."""
    if _takes_words(hint):
        return str | None
    return hint | None  # type: ignore[operator]


def _takes_words(hint: object) -> bool:
    return hint is str or any(isinstance(leaf, str) or _takes_words(leaf) for leaf in get_args(hint))


def _number_or_word(text: str | None) -> str | float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return text
