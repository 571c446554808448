from http import HTTPStatus

import pytest

from api.errors import STATUSES, answer
from dti.errors import DTIError
from service.errors import BodyTooLargeError, DatabaseUnavailableError, ServiceError, TooManyJobsError


def family(kind):
    return {kind, *(one for child in kind.__subclasses__() for one in family(child))}


def test_every_error_has_a_status():
    assert set(STATUSES) == family(ServiceError) | family(DTIError)


def test_every_error_has_a_code_of_its_own_within_its_tree():
    for root in (ServiceError, DTIError):
        codes = [kind.code for kind in family(root)]
        assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", [TooManyJobsError(3), DatabaseUnavailableError("down")])
def test_who_may_come_back_later_is_told_when(error):
    assert int(answer(error).headers["Retry-After"]) > 0


def test_a_refusal_is_a_problem_with_its_status():
    response = answer(BodyTooLargeError(5))
    assert response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert response.media_type == "application/problem+json"
