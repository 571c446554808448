import math
from dataclasses import fields

import pytest
from pydantic import ValidationError

from api.schemas.requests import GenerationRequest, InterpolationRequest, TrainingSettings
from dti.spec.merged import offers
from dti.spec.settings import Interpolation, Rendering, hints_of


def settings_of(kind):
    return {setting.name: (hints_of(kind)[setting.name][1], setting.default) for setting in fields(kind)}


KINDS = [
    (TrainingSettings, {name: (offer.allowed, offer.default) for name, offer in offers().items()}, {}),
    (GenerationRequest, settings_of(Rendering), {"prompt": "x"}),
    (InterpolationRequest, settings_of(Interpolation), {"from": "a", "to": "b"}),
]


@pytest.mark.parametrize(("request_kind", "settings", "rest"), KINDS)
def test_every_setting_stands_in_its_request_with_its_sentence_and_default(request_kind, settings, rest):
    for name, (allowed, default) in settings.items():
        field = request_kind.model_fields[name]
        assert (field.description, field.default) == (allowed.sentence, default)


@pytest.mark.parametrize(("request_kind", "settings", "rest"), KINDS)
def test_bounds_are_those_of_the_algorithm(request_kind, settings, rest):
    for name, (allowed, _) in settings.items():
        for bound, outside in ((allowed.low, -math.inf), (allowed.high, math.inf)):
            if bound is None:
                continue
            inside = int(bound) if float(bound).is_integer() else bound
            assert request_kind.model_validate({**rest, name: inside}).given()[name] == inside
            beyond = math.nextafter(bound, outside) if bound != inside else inside + int(math.copysign(1, outside))
            with pytest.raises(ValidationError):
                request_kind.model_validate({**rest, name: beyond})


def test_what_was_not_said_is_left_to_the_model():
    assert GenerationRequest.model_validate({"prompt": "x", "seed": None}).given() == {"prompt": "x", "seed": None}
