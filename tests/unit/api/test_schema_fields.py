import math
from dataclasses import fields

import pytest
from pydantic import ValidationError

from api.schemas.requests import GenerationRequest, InterpolationRequest, TrainingSettings
from dti.spec.merged import merged_settings
from dti.spec.settings import Interpolation, Rendering, setting_specs


def settings_of(kind):
    return {setting.name: (setting_specs(kind)[setting.name][1], setting.default) for setting in fields(kind)}


KINDS = [
    (TrainingSettings, {name: (offer.spec, offer.default) for name, offer in merged_settings().items()}, {}),
    (GenerationRequest, settings_of(Rendering), {"prompt": "x"}),
    (InterpolationRequest, settings_of(Interpolation), {"from": "a", "to": "b"}),
]


@pytest.mark.parametrize(("request_kind", "settings", "rest"), KINDS)
def test_every_setting_is_in_its_request_with_description_and_default(request_kind, settings, rest):
    for name, (spec, default) in settings.items():
        field = request_kind.model_fields[name]
        assert (field.description, field.default) == (spec.description, default)


@pytest.mark.parametrize(("request_kind", "settings", "rest"), KINDS)
def test_bounds_are_the_algorithms(request_kind, settings, rest):
    for name, (spec, _) in settings.items():
        for bound, outside in ((spec.minimum, -math.inf), (spec.maximum, math.inf)):
            if bound is None:
                continue
            inside = int(bound) if float(bound).is_integer() else bound
            assert request_kind.model_validate({**rest, name: inside}).given()[name] == inside
            beyond = math.nextafter(bound, outside) if bound != inside else inside + int(math.copysign(1, outside))
            with pytest.raises(ValidationError):
                request_kind.model_validate({**rest, name: beyond})


def test_omitted_settings_are_left_to_the_model():
    assert GenerationRequest.model_validate({"prompt": "x", "seed": None}).given() == {"prompt": "x", "seed": None}
