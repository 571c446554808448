"""What can go wrong, as a tree.

DTIClientError
├── SettingsError                    the client was told something that cannot be
├── ConnectionFailedError            no answer came, however often it was asked
├── WaitTimeoutError                 the job goes on; waiting for it has ended
├── JobEndedBadlyError               a job that was waited for
│   ├── JobFailedError
│   └── JobCancelledError
└── AnswerError                      the service refused; `code` is the problem's own
    ├── InvalidRequestError          400, 413, 415, 422
    │   ├── UnknownConceptError, UnknownModelError, PromptTooLongError, BodyTooLargeError
    │   └── ImageUnsupportedError, ImageUnreadableError, ImageTooSmallError, EmbeddingUnreadableError
    ├── UnauthenticatedError         401
    │   └── KeyMissingError, KeyUnknownError, KeyExpiredError, KeyRevokedError
    ├── ForbiddenError               403
    │   └── ScopeMissingError
    ├── NotFoundError                404
    ├── ConflictError                409
    │   ├── NameTakenError, ConceptNotReadyError, ModelMismatchError, EmbeddingMismatchError
    │   └── JobEndedError, StorageQuotaExceededError, IdempotencyInFlightError
    ├── QuotaError                   429
    │   └── TooManyRequestsError, TooManyJobsError, DeviceQuotaExceededError
    └── UnavailableError             5xx
        └── WorkerUnavailableError
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import httpx

from dti_client.models import Job


class DTIClientError(Exception):
    """The root of everything that this client raises on purpose."""


class SettingsError(DTIClientError):
    """The client was told something that cannot be."""


class ConnectionFailedError(DTIClientError):
    """No answer came, however often it was asked."""


class WaitTimeoutError(DTIClientError):
    """The job goes on; waiting for it has ended."""


class JobEndedBadlyError(DTIClientError):
    """A job that was waited for has not succeeded."""

    def __init__(self, job: Job) -> None:
        reason = f": {job.error.message} ({job.error.code})" if job.error else ""
        super().__init__(f"{job.kind} {job.id} {job.status}{reason}.")
        self.job = job


class JobFailedError(JobEndedBadlyError):
    """It failed; `job.error` says why."""


class JobCancelledError(JobEndedBadlyError):
    """Somebody cancelled it."""


class AnswerError(DTIClientError):
    """The service refused.

    Args:
        status: of HTTP.
        code: what went wrong, in one stable word.
        detail: the same as a sentence.
        problem: everything that the service said, such as `errors` by field.
        retry_after_s: when it may be asked again, where it said so.
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


class InvalidRequestError(AnswerError):
    """Something in the request is wrong."""

    statuses = (400, 405, 413, 415, 422)


class UnknownConceptError(InvalidRequestError):
    """A prompt or a field names a concept that is not there."""

    codes = ("unknown_concept",)


class UnknownModelError(InvalidRequestError):
    """The catalogue has no model of that name."""

    codes = ("unknown_model",)


class PromptTooLongError(InvalidRequestError):
    """The prompt does not fit the text encoder."""

    codes = ("prompt_too_long",)


class BodyTooLargeError(InvalidRequestError):
    """The request is too large."""

    codes = ("body_too_large",)


class ImageUnsupportedError(InvalidRequestError):
    """A file is not a kind of picture or archive that the service reads."""

    codes = ("image_unsupported",)


class ImageUnreadableError(InvalidRequestError):
    """A picture is damaged."""

    codes = ("image_unreadable",)


class ImageTooSmallError(InvalidRequestError):
    """A picture is too small to learn from."""

    codes = ("image_too_small",)


class EmbeddingUnreadableError(InvalidRequestError):
    """A file is no embedding that the service reads."""

    codes = ("embedding_unreadable",)


class UnauthenticatedError(AnswerError):
    """Who calls is not known."""

    statuses = (401,)


class KeyMissingError(UnauthenticatedError):
    """No key was sent."""

    codes = ("key_missing",)


class KeyUnknownError(UnauthenticatedError):
    """There is no such key."""

    codes = ("key_unknown", "key_malformed")


class KeyExpiredError(UnauthenticatedError):
    """The key's time is over."""

    codes = ("key_expired",)


class KeyRevokedError(UnauthenticatedError):
    """The key was taken back."""

    codes = ("key_revoked",)


class ForbiddenError(AnswerError):
    """The caller may not do this."""

    statuses = (403,)


class ScopeMissingError(ForbiddenError):
    """The key does not allow this."""

    codes = ("scope_missing",)


class NotFoundError(AnswerError):
    """There is no such thing, or it belongs to somebody else."""

    statuses = (404,)


class ConflictError(AnswerError):
    """The request and the state of things do not agree."""

    statuses = (409,)


class NameTakenError(ConflictError):
    """There is a concept of that name."""

    codes = ("name_taken",)


class ConceptNotReadyError(ConflictError):
    """The concept has learned nothing yet."""

    codes = ("concept_not_ready",)


class ModelMismatchError(ConflictError):
    """Concepts or models do not fit each other."""

    codes = ("model_mismatch",)


class EmbeddingMismatchError(ConflictError):
    """Embeddings have different shapes."""

    codes = ("embedding_mismatch",)


class JobEndedError(ConflictError):
    """The job has ended and cannot be cancelled."""

    codes = ("job_ended",)


class StorageQuotaExceededError(ConflictError):
    """The owner's things fill the storage that they may fill."""

    codes = ("storage_quota_exceeded",)


class IdempotencyInFlightError(ConflictError):
    """The first of several equal requests is still being accepted."""

    codes = ("idempotency_in_flight",)


class QuotaError(AnswerError):
    """The caller has used up what there is for now; `retry_after_s` says until when."""

    statuses = (429,)


class TooManyRequestsError(QuotaError):
    """Too many requests with one key."""

    codes = ("too_many_requests",)


class TooManyJobsError(QuotaError):
    """The owner has too many unfinished jobs."""

    codes = ("too_many_jobs",)


class DeviceQuotaExceededError(QuotaError):
    """The owner's jobs had the device for as long as they may today."""

    codes = ("device_quota_exceeded",)


class UnavailableError(AnswerError):
    """The service, or what it stands on, does not work now."""

    statuses = tuple(range(500, 600))


class WorkerUnavailableError(UnavailableError):
    """No worker did it in time."""

    codes = ("worker_unavailable",)


def from_answer(answer: httpx.Response) -> AnswerError:
    """The error that an answer tells of, also where something between here and the service gave it."""
    try:
        said = answer.json()
    except ValueError:
        said = None
    problem: Mapping[str, Any] = said if isinstance(said, dict) else {}
    code = str(problem.get("code", f"http_{answer.status_code}"))
    detail = str(problem.get("detail", answer.reason_phrase))
    return _kind(answer.status_code, code)(answer.status_code, code, detail, problem, retry_after_s(answer))


def retry_after_s(answer: httpx.Response) -> float | None:
    """When an answer says that it may be asked again; None where it does not, or as a date."""
    said = answer.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else None


def _kind(status: int, code: str) -> type[AnswerError]:
    by_status = next((kind for kind in AnswerError.__subclasses__() if status in kind.statuses), AnswerError)
    return next((kind for kind in by_status.__subclasses__() if code in kind.codes), by_status)
