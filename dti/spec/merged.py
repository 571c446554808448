"""What can be asked of a training before its method is chosen: the settings of all methods, put together.

Torch-free, like the spec whose sentences and bounds it reads: HTTP schemas and the command line are made from it.
"""

import functools
import operator
from collections.abc import Mapping
from dataclasses import dataclass, fields

from dti.spec.registry import METHODS
from dti.spec.settings import Allowed, hints_of


@dataclass(frozen=True, slots=True)
class Offer:
    """A setting as it is offered where the method is not chosen yet: what any method takes.

    Attributes:
        hint: its type.
        allowed: the widest bounds, and a sentence that tells the methods apart.
        default: of the first method that has it.
    """

    hint: object
    allowed: Allowed
    default: object


def offers() -> dict[str, Offer]:
    """The settings of all methods, by name."""
    names = dict.fromkeys(name for listing in METHODS.values() for name in hints_of(listing.settings))
    return {name: _offer(name) for name in names}


def _offer(name: str) -> Offer:
    kinds = {method: listing.settings for method, listing in METHODS.items() if name in hints_of(listing.settings)}
    hints, allowed = zip(*(hints_of(kind)[name] for kind in kinds.values()), strict=True)
    defaults = {
        method: setting.default for method, kind in kinds.items() for setting in fields(kind) if setting.name == name
    }
    sentence = _told_apart({method: one.sentence for method, one in zip(kinds, allowed, strict=True)})
    if len(kinds) < len(METHODS):
        sentence += f" Only with {', '.join(kinds)}."
    if len(set(defaults.values())) > 1:
        sentence += f" By default {_told_apart({method: f'{value}.' for method, value in defaults.items()})}"
    lows, highs = (
        [one.low for one in allowed if one.low is not None],
        [one.high for one in allowed if one.high is not None],
    )
    widest = Allowed(sentence, min(lows, default=None), max(highs, default=None))
    return Offer(functools.reduce(operator.or_, hints), widest, next(iter(defaults.values())))


def _told_apart(sentences: Mapping[str, str]) -> str:
    """What methods say, once each and with their names; without them where all say the same."""
    methods: dict[str, list[str]] = {}
    for method, sentence in sentences.items():
        methods.setdefault(sentence, []).append(method)
    if len(methods) == 1:
        return next(iter(methods))
    told = "; ".join(f"{', '.join(who)}: {sentence.removesuffix('.')}" for sentence, who in methods.items())
    return f"{told}."
