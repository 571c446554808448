"""Retries: the request of a call, whether it is sent again, and after how long. Sends nothing itself."""

import random
import uuid
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import httpx

from dti_client.calls import Call
from dti_client.errors import ConnectionFailedError, IdempotencyInFlightError, from_response, retry_after_s

T = TypeVar("T")

MAX_ATTEMPTS = 5
MAX_DELAY_S = 60.0
"""A longer `Retry-After` is raised as an error at once."""

_FIRST_DELAY_S = 0.5
_RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_IDEMPOTENT_METHODS = frozenset({"GET", "DELETE"})


@dataclass
class RetriedCall(Generic[T]):
    """A call with its attempts; all of them carry the same Idempotency-Key, where the route takes one."""

    call: Call[T]
    _attempt: int = 0
    _idempotency_key: str = field(default_factory=lambda: str(uuid.uuid4()))

    def request(self) -> dict[str, Any]:
        """The keyword arguments of httpx's `request`."""
        call = self.call
        headers = {"Idempotency-Key": self._idempotency_key} if call.takes_idempotency_key else {}
        if call.wait_s is not None:
            headers["Prefer"] = f"wait={call.wait_s}"
        request: dict[str, Any] = {
            "method": call.method,
            "url": call.path,
            "headers": headers,
            "params": dict(call.query),
        }
        if call.body is not None:
            request["json"] = dict(call.body)
        if call.form:
            # With an empty file, httpx sends a form without files as multipart too.
            request |= {"data": dict(call.form), "files": list(call.files) or [("", ("", b""))]}
        return request

    def delay_s(self, outcome: httpx.Response | httpx.TransportError) -> float | None:
        """Seconds until the next attempt, by `Retry-After` or exponential backoff; None for no further attempt."""
        self._attempt += 1
        if self._attempt >= MAX_ATTEMPTS or not self._is_retryable(outcome):
            return None
        backoff_s = _FIRST_DELAY_S * 2 ** (self._attempt - 1) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
        requested_s = retry_after_s(outcome) if isinstance(outcome, httpx.Response) else None
        delay_s = backoff_s if requested_s is None else requested_s
        return delay_s if delay_s <= MAX_DELAY_S else None

    def result(self, outcome: httpx.Response | httpx.TransportError) -> T:
        """The result of the last attempt.

        Raises:
            ResponseError: the service responded with an error.
            ConnectionFailedError: there was no response.
        """
        if isinstance(outcome, httpx.TransportError):
            reason = str(outcome) or type(outcome).__name__
            raise ConnectionFailedError(f"{self.call.method} {self.call.path} got no response: {reason}.") from outcome
        if outcome.is_success:
            return self.call.decode(outcome)
        raise from_response(outcome)

    def _is_retryable(self, outcome: httpx.Response | httpx.TransportError) -> bool:
        repeatable = self.call.takes_idempotency_key or self.call.method in _IDEMPOTENT_METHODS
        if isinstance(outcome, httpx.TransportError):
            return repeatable or isinstance(outcome, httpx.ConnectError)
        if outcome.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return True
        return repeatable and (outcome.status_code in _RETRIED_STATUSES or _is_in_flight(outcome))


def _is_in_flight(response: httpx.Response) -> bool:
    return response.is_error and isinstance(from_response(response), IdempotencyInFlightError)
