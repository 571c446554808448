"""Retries: which calls are retried, and after which delay."""

import httpx
import pytest
from dti_client import calls, errors
from dti_client.retry import MAX_ATTEMPTS, RetriedCall

READ = calls.read_job("job_1")
MAKE = calls.create_generation("a dog")
MINT = calls.create_key("ada", "laptop", ["read"])


def error_response(status, code="x", **headers):
    return httpx.Response(status, json={"code": code, "detail": "No."}, headers=headers)


def test_all_attempts_of_a_call_carry_the_same_idempotency_key_where_its_route_takes_one():
    attempts = RetriedCall(MAKE)
    keys = {attempts.request()["headers"]["Idempotency-Key"] for _ in range(3)}
    assert len(keys) == 1
    assert keys != {RetriedCall(MAKE).request()["headers"]["Idempotency-Key"]}
    assert "Idempotency-Key" not in RetriedCall(READ).request()["headers"] | RetriedCall(MINT).request()["headers"]


@pytest.mark.parametrize("call", [READ, MAKE])
@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_is_respected(call, status):
    assert RetriedCall(call).delay_s(error_response(status, **{"Retry-After": "7"})) == 7


def test_without_retry_after_it_backs_off_exponentially_with_jitter():
    attempts = RetriedCall(READ)
    delays = [attempts.delay_s(error_response(503)) for _ in range(MAX_ATTEMPTS)]
    for number, delay_s in enumerate(delays[:-1]):
        assert 0.25 * 2**number <= delay_s <= 0.5 * 2**number
    assert delays[-1] is None


def test_permanent_errors_and_long_delays_are_not_retried():
    for outcome in (
        error_response(422),
        error_response(404),
        error_response(409, "name_taken"),
        error_response(500),
        error_response(429, **{"Retry-After": "3600"}),
    ):
        assert RetriedCall(MAKE).delay_s(outcome) is None
    assert RetriedCall(MAKE).delay_s(error_response(409, "idempotency_in_flight", **{"Retry-After": "1"})) == 1


def test_a_call_without_an_idempotency_key_is_retried_only_if_it_cannot_have_been_executed():
    assert RetriedCall(MINT).delay_s(error_response(503)) is None
    assert RetriedCall(MINT).delay_s(httpx.ReadTimeout("late")) is None
    assert RetriedCall(MINT).delay_s(httpx.ConnectError("no")) is not None
    assert RetriedCall(MINT).delay_s(error_response(429, **{"Retry-After": "1"})) == 1
    assert RetriedCall(MAKE).delay_s(httpx.ReadTimeout("late")) is not None


def test_an_error_response_is_an_exception_by_its_code_with_the_whole_problem():
    with pytest.raises(errors.NameTakenError) as caught:
        RetriedCall(MAKE).result(error_response(409, "name_taken", **{"Retry-After": "3"}))
    assert (caught.value.status, caught.value.code, caught.value.retry_after_s) == (409, "name_taken", 3)
    with pytest.raises(errors.ConflictError):
        RetriedCall(MAKE).result(error_response(409, "a_code_of_tomorrow"))
    with pytest.raises(errors.UnavailableError, match="http_502"):
        RetriedCall(MAKE).result(httpx.Response(502, text="<html>"))
    with pytest.raises(errors.ConnectionFailedError):
        RetriedCall(MAKE).result(httpx.ConnectError("no"))


def test_names_in_paths_are_percent_encoded():
    assert calls.read_concept("a/b?c#ü").path == "/v1/concepts/a%2Fb%3Fc%23%C3%BC"
