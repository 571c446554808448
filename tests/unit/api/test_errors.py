import json
from http import HTTPStatus

import pytest

from api.errors import STATUSES, error_response
from dti.errors import DTIError
from service.errors import (
    BodyTooLargeError,
    DatabaseUnavailableError,
    RpcFailedError,
    ServiceError,
    TooManyJobsError,
)


def family(kind):
    return {kind, *(descendant for child in kind.__subclasses__() for descendant in family(child))}


def test_every_error_has_a_status():
    assert set(STATUSES) == family(ServiceError) | family(DTIError)


def test_codes_are_unique_within_each_tree():
    for root in (ServiceError, DTIError):
        codes = [kind.code for kind in family(root)]
        assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", [TooManyJobsError(3), DatabaseUnavailableError("down")])
def test_retryable_errors_have_retry_after(error):
    assert int(error_response(error).headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("embedding_unreadable", 422),
        ("embedding_mismatch", 422),
        ("invalid_setting", 422),
        ("name_taken", 409),
        ("model_unavailable", 503),
        ("out_of_memory", 503),
        ("internal_error", 500),
    ],
)
def test_errors_of_workers_have_the_status_of_their_code(code, status):
    response = error_response(RpcFailedError(code, "It did not work."))
    assert (response.status_code, json.loads(response.body)["code"]) == (status, code)
    assert ("Retry-After" in response.headers) == (status == HTTPStatus.SERVICE_UNAVAILABLE)


def test_a_refusal_is_a_problem_with_its_status():
    response = error_response(BodyTooLargeError(5))
    assert response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert response.media_type == "application/problem+json"
