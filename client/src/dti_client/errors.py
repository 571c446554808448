"""The errors of this client, as a tree.

DTIClientError
├── SettingsError                    an argument is invalid
├── ConnectionFailedError            there was no response, after all retries
├── WaitTimeoutError                 the job has not ended within the timeout, and goes on
├── JobUnsuccessfulError             an awaited job has ended without success
│   ├── JobFailedError
│   └── JobCancelledError
└── ResponseError                    the service responded with an error; `code` is the problem's
    ├── InvalidRequestError          400, 405, 413, 415, 422
    │   ├── UnknownConceptError, UnknownModelError, PromptTooLongError, BodyTooLargeError
    │   └── ImageUnsupportedError, ImageUnreadableError, ImageTooSmallError, EmbeddingFormatError
    ├── UnauthenticatedError         401
    │   ├── KeyMissingError, KeyMalformedError, KeyUnknownError
    │   └── KeyExpiredError, KeyRevokedError
    ├── ForbiddenError               403
    │   └── ScopeMissingError
    ├── NotFoundError                404
    ├── ConflictError                409
    │   ├── NameTakenError, ConceptNotReadyError, ModelMismatchError, EmbeddingMismatchError
    │   ├── JobEndedError, JobUnfinishedError, JobNotFailedError, ConceptInTrainingError
    │   └── StorageQuotaExceededError, IdempotencyInFlightError
    ├── QuotaError                   429
    │   └── TooManyRequestsError, TooManyJobsError, TooManyStreamsError, DeviceQuotaExceededError
    └── UnavailableError             5xx
        └── WorkerUnavailableError, RpcFailedError
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from dti_client.models import Job


class DTIClientError(Exception):
    """Base of all errors of this client."""


class SettingsError(DTIClientError):
    """An argument is invalid."""


class ConnectionFailedError(DTIClientError):
    """There was no response, after all retries."""


class WaitTimeoutError(DTIClientError):
    """The job has not ended within the timeout, and goes on."""


class JobUnsuccessfulError(DTIClientError):
    """An awaited job has ended without success."""

    def __init__(self, job: Job) -> None:
        reason = f": {job.error.message} ({job.error.code})" if job.error else ""
        super().__init__(f"{job.kind} {job.id} {job.status}{reason}.")
        self.job = job


class JobFailedError(JobUnsuccessfulError):
    """The job failed; its error is in `job.error`."""


class JobCancelledError(JobUnsuccessfulError):
    """The job was cancelled."""


class ResponseError(DTIClientError):
    """The service responded with an error.

    Args:
        status: of HTTP.
        code: stable, in snake_case.
        detail: the message.
        problem: the whole body, such as `errors` by field.
        retry_after_s: seconds until a retry, where the response has them.
    """

    statuses: ClassVar[tuple[int, ...]] = ()
    codes: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self, status: int, code: str, detail: str, problem: Mapping[str, Any], retry_after_s: float | None
    ) -> None:
        super().__init__(f"{detail} ({code})")
        self.status = status
        self.code = code
        self.detail = detail
        self.problem = problem
        self.retry_after_s = retry_after_s


class InvalidRequestError(ResponseError):
    """The request is invalid."""

    statuses = (400, 405, 413, 415, 422)


class UnknownConceptError(InvalidRequestError):
    """A prompt or a field names an unknown concept."""

    codes = ("unknown_concept",)


class UnknownModelError(InvalidRequestError):
    """The catalogue has no model of that name."""

    codes = ("unknown_model",)


class PromptTooLongError(InvalidRequestError):
    """The prompt has more tokens than the text encoder takes."""

    codes = ("prompt_too_long",)


class BodyTooLargeError(InvalidRequestError):
    """The request is too large."""

    codes = ("body_too_large",)


class ImageUnsupportedError(InvalidRequestError):
    """The file is not a supported picture or archive."""

    codes = ("image_unsupported",)


class ImageUnreadableError(InvalidRequestError):
    """A picture is damaged."""

    codes = ("image_unreadable",)


class ImageTooSmallError(InvalidRequestError):
    """A picture is too small for training."""

    codes = ("image_too_small",)


class EmbeddingFormatError(InvalidRequestError):
    """The file is not a supported embedding."""

    codes = ("embedding_unreadable",)


class UnauthenticatedError(ResponseError):
    """The request is not authenticated."""

    statuses = (401,)


class KeyMissingError(UnauthenticatedError):
    """No key was sent."""

    codes = ("key_missing",)


class KeyMalformedError(UnauthenticatedError):
    """The text sent as a key is not one: mistyped or truncated."""

    codes = ("key_malformed",)


class KeyUnknownError(UnauthenticatedError):
    """The key does not exist."""

    codes = ("key_unknown",)


class KeyExpiredError(UnauthenticatedError):
    """The key has expired."""

    codes = ("key_expired",)


class KeyRevokedError(UnauthenticatedError):
    """The key was revoked."""

    codes = ("key_revoked",)


class ForbiddenError(ResponseError):
    """The operation is not allowed."""

    statuses = (403,)


class ScopeMissingError(ForbiddenError):
    """The key lacks the scope of the operation."""

    codes = ("scope_missing",)


class NotFoundError(ResponseError):
    """The resource does not exist, or belongs to another owner."""

    statuses = (404,)


class ConflictError(ResponseError):
    """The request conflicts with the present state."""

    statuses = (409,)


class NameTakenError(ConflictError):
    """The owner has a concept of that name."""

    codes = ("name_taken",)


class ConceptNotReadyError(ConflictError):
    """The concept is not trained yet."""

    codes = ("concept_not_ready",)


class ModelMismatchError(ConflictError):
    """Concepts and models do not match."""

    codes = ("model_mismatch",)


class EmbeddingMismatchError(ConflictError):
    """Embeddings have different shapes."""

    codes = ("embedding_mismatch",)


class JobEndedError(ConflictError):
    """The job has ended and cannot be cancelled."""

    codes = ("job_ended",)


class JobNotFailedError(ConflictError):
    """The job has succeeded or was cancelled, and cannot be retried."""

    codes = ("job_not_failed",)


class JobUnfinishedError(ConflictError):
    """The job has not ended, and nothing of it can be deleted."""

    codes = ("job_unfinished",)


class ConceptInTrainingError(ConflictError):
    """The concept is in training, and its pictures cannot change."""

    codes = ("concept_in_training",)


class StorageQuotaExceededError(ConflictError):
    """The owner's storage quota is exhausted."""

    codes = ("storage_quota_exceeded",)


class IdempotencyInFlightError(ConflictError):
    """An equal request with the same Idempotency-Key is still in progress."""

    codes = ("idempotency_in_flight",)


class QuotaError(ResponseError):
    """A quota is exhausted until `retry_after_s`."""

    statuses = (429,)


class TooManyRequestsError(QuotaError):
    """Too many requests with one key."""

    codes = ("too_many_requests",)


class TooManyJobsError(QuotaError):
    """The owner has too many unfinished jobs."""

    codes = ("too_many_jobs",)


class TooManyStreamsError(QuotaError):
    """Too many event streams open with one key."""

    codes = ("too_many_streams",)


class DeviceQuotaExceededError(QuotaError):
    """The owner's device seconds of today are exhausted."""

    codes = ("device_quota_exceeded",)


class UnavailableError(ResponseError):
    """The service, or a server behind it, has failed or is unavailable."""

    statuses = tuple(range(500, 600))


class WorkerUnavailableError(UnavailableError):
    """No worker has answered in time."""

    codes = ("worker_unavailable",)


class RpcFailedError(UnavailableError):
    """A worker has failed to answer a call."""

    codes = ("rpc_failed",)


def from_response(response: httpx.Response) -> ResponseError:
    """The error of a response, including one of a proxy in between."""
    try:
        payload = response.json()
    except ValueError:
        payload = None
    problem: Mapping[str, Any] = payload if isinstance(payload, dict) else {}
    code = str(problem.get("code", f"http_{response.status_code}"))
    detail = str(problem.get("detail", response.reason_phrase))
    return _kind(response.status_code, code)(response.status_code, code, detail, problem, retry_after_s(response))


def retry_after_s(response: httpx.Response) -> float | None:
    """The seconds of `Retry-After`; None without one, or where it is a date."""
    seconds = response.headers.get("Retry-After", "")
    return float(seconds) if seconds.isdecimal() else None


def _kind(status: int, code: str) -> type[ResponseError]:
    by_status = next((kind for kind in ResponseError.__subclasses__() if status in kind.statuses), ResponseError)
    return next((kind for kind in by_status.__subclasses__() if code in kind.codes), by_status)
