"""The service's errors: one tree, a stable code and a sentence each.

    ServiceError
    ├── InvalidInputError           a field of a request is wrong
    ├── UnauthenticatedError        who calls is not known
    │   ├── KeyMissingError         no key was sent
    │   ├── KeyMalformedError        what was sent is no key of ours, whole and unchanged
    │   ├── KeyUnknownError         there is no such key
    │   ├── KeyExpiredError         the key's time is over
    │   └── KeyRevokedError         the key was taken back
    ├── ScopeMissingError           the key does not allow this
    ├── NotFoundError               there is no such thing, or it belongs to somebody else
    ├── ConflictError               the request and the state of things do not agree
    │   ├── NameTakenError          the owner already has a concept of that name
    │   ├── ConceptNotReadyError    the concept has no embedding yet
    │   ├── ModelMismatchError      concept and request belong to different models
    │   ├── EmbeddingsDifferError   two concepts have different numbers of vectors
    │   ├── ConceptWithoutPicturesError  the concept has no pictures to learn from
    │   ├── ConceptDeletedError     the concept that a request is about was deleted meanwhile
    │   ├── IdempotencyInFlightError  the first of equal requests is still being accepted
    │   ├── StorageQuotaExceededError        the owner's things fill the storage that they may fill
    │   ├── TooManyWebhooksError    the owner has as many standing webhooks as are allowed
    │   ├── JobCancelledError       the job that a request waited for was cancelled meanwhile
    │   └── JobEndedError           the job has ended and cannot be cancelled
    ├── UnprocessableError          a well-formed request names or says what cannot be done
    │   ├── IdempotencyKeyReusedError  an Idempotency-Key stands for another request
    │   ├── UnknownConceptError     a prompt or the body names a concept that does not exist
    │   ├── UnknownModelError       the catalogue has no model of that name
    │   ├── UnknownSchedulerError   the model has no scheduler of that name
    │   ├── PromptTooLongError      the prompt's tokens do not fit the text encoder
    │   ├── ImageUnreadableError    a file is damaged
    │   ├── ImageRefusedError       a picture is none that may be learned from here
    │   ├── OutputRefusedError      what was made is nothing that may be shown here
    │   ├── ImageTooLargeError      a picture has too many bytes or pixels
    │   └── ImageTooSmallError      a picture's shorter side is too small
    ├── ImageUnsupportedError       a file is not a kind of picture or archive that is read
    ├── BodyTooLargeError           a request's body is over the limit
    ├── QuotaError                  the caller has used up what there is for now
    │   ├── TooManyRequestsError    too many requests with one key
    │   ├── TooManyJobsError        the owner has too many unfinished jobs
    │   └── DeviceQuotaExceededError    the owner's jobs had the device for as long as they may today
    ├── RpcFailedError           what a worker was asked to do for a request cannot be done
    ├── LeaseLostError              a worker writes for an attempt that is no longer its own
    ├── SettingsError               an environment variable or the model catalogue is wrong
    ├── ObjectMissingError          the storage holds no object under a key
    └── UnavailableError            something that the service stands on is down
        ├── DatabaseUnavailableError
        ├── StorageUnavailableError
        └── WorkerUnavailableError  no worker did in time what a request waits for

Every message says what happened, with the value, and what to do. This module knows no HTTP status; api/errors.py does.
"""

from collections.abc import Sequence


class ServiceError(Exception):
    """The root: catch this to catch everything that the service raises on purpose."""

    code = "service_error"

    @property
    def message(self) -> str:
        """The sentence for people."""
        return str(self)


class InvalidInputError(ServiceError):
    """A field of a request is wrong.

    Args:
        field: where it stands, "training.steps".
        message: what is wrong with the value, and what is allowed.
    """

    code = "invalid_input"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class UnauthenticatedError(ServiceError):
    """Who calls is not known."""

    code = "unauthenticated"


class KeyMissingError(UnauthenticatedError):
    """No key was sent."""

    code = "key_missing"

    def __init__(self) -> None:
        super().__init__("This needs a key. Send it as `Authorization: Bearer dti_…`.")


class KeyMalformedError(UnauthenticatedError):
    """What was sent is no key of ours, whole and unchanged."""

    code = "key_malformed"

    def __init__(self) -> None:
        super().__init__("This is no whole key: a part is missing or was changed. Copy it again.")


class KeyUnknownError(UnauthenticatedError):
    """There is no such key."""

    code = "key_unknown"

    def __init__(self) -> None:
        super().__init__("There is no such key here. Ask whoever runs this service for one.")


class KeyExpiredError(UnauthenticatedError):
    """The key's time is over."""

    code = "key_expired"

    def __init__(self) -> None:
        super().__init__("The key has expired. Ask whoever runs this service for another.")


class KeyRevokedError(UnauthenticatedError):
    """The key was taken back."""

    code = "key_revoked"

    def __init__(self) -> None:
        super().__init__("The key was revoked. Ask whoever runs this service for another.")


class ScopeMissingError(ServiceError):
    """The key does not allow this; any one of the scopes would."""

    code = "scope_missing"

    def __init__(self, scopes: Sequence[str]) -> None:
        super().__init__(f"The key does not allow this: it lacks the scope {' or '.join(scopes)}.")
        self.scopes = tuple(scopes)


class NotFoundError(ServiceError):
    """There is no such thing, or it belongs to somebody else; which of the two is not said."""

    code = "not_found"

    def __init__(self, kind: str, reference: str) -> None:
        super().__init__(f"There is no {kind} {reference!r} here.")


class ConflictError(ServiceError):
    """The request and the state of things do not agree."""

    code = "conflict"


class NameTakenError(ConflictError):
    """The owner already has a concept of that name."""

    code = "name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"There already is a concept named {name!r}. Choose another name, retrain it, or delete it.")


class ConceptNotReadyError(ConflictError):
    """The concept has no embedding yet."""

    code = "concept_not_ready"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{_triggers(names)} has no embedding yet. Wait until its training has succeeded.")
        self.names = tuple(names)


class ModelMismatchError(ConflictError):
    """Concept and request belong to different models; the message names the concept."""

    code = "model_mismatch"

    def __init__(self, name: str, concept_model: str, wanted_model: str) -> None:
        super().__init__(
            f"<{name}> was learned for the model {concept_model!r} and cannot be used with {wanted_model!r}. "
            "Use one model's concepts in a request, or train the concept for this model."
        )
        self.names = (name,)


class EmbeddingsDifferError(ConflictError):
    """Two concepts have different numbers of vectors and cannot be interpolated."""

    code = "embedding_mismatch"

    def __init__(self, first: str, second: str, encoder: str, vectors: tuple[int, int]) -> None:
        super().__init__(
            f"<{first}> has {vectors[0]} vectors for {encoder} and <{second}> has {vectors[1]}. "
            "Train both with the same num_vectors to interpolate between them."
        )


class ConceptWithoutPicturesError(ConflictError):
    """The concept was imported or blended, or its pictures were kept long enough: there is nothing to learn from."""

    code = "no_pictures"

    def __init__(self, name: str) -> None:
        super().__init__(
            f"<{name}> has no pictures: it was imported or blended, or they were kept as long as they are here. "
            "Create a concept from pictures."
        )
        self.names = (name,)


class ConceptDeletedError(ConflictError):
    """The concept that a request is about was deleted meanwhile."""

    code = "concept_deleted"

    def __init__(self) -> None:
        super().__init__("A concept that this request is about was deleted meanwhile.")


class IdempotencyInFlightError(ConflictError):
    """The first of several equal requests under one Idempotency-Key is still being accepted."""

    code = "idempotency_in_flight"

    def __init__(self) -> None:
        super().__init__("The first request under this Idempotency-Key is still being accepted. Send it again shortly.")


class StorageQuotaExceededError(ConflictError):
    """The owner's things fill the storage that they may fill."""

    code = "storage_quota_exceeded"

    def __init__(self, stored_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{stored_bytes} bytes would be stored, and {limit_bytes} are allowed. Delete concepts to make room."
        )
        self.limit = limit_bytes


class TooManyWebhooksError(ConflictError):
    """The owner has as many standing webhooks as are allowed."""

    code = "too_many_webhooks"

    def __init__(self, limit: int) -> None:
        super().__init__(f"There are already {limit} webhooks. Delete one, or have one tell more.")
        self.limit = limit


class JobCancelledError(ConflictError):
    """The job that a request waited for was cancelled meanwhile."""

    code = "job_cancelled"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"{job_id} was cancelled while its pictures were waited for. Ask again.")


class JobEndedError(ConflictError):
    """The job has ended and cannot be cancelled."""

    code = "job_ended"

    def __init__(self, job_id: str, status: str) -> None:
        super().__init__(f"The job {job_id} has already {status} and cannot be cancelled.")


class UnprocessableError(ServiceError):
    """A well-formed request names or says what cannot be done."""

    code = "unprocessable"


class IdempotencyKeyReusedError(UnprocessableError):
    """An Idempotency-Key stands for a request of other content."""

    code = "idempotency_key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(f"The Idempotency-Key {key!r} was used for another request. Take a new key for a new request.")


class UnknownConceptError(UnprocessableError):
    """A prompt or the body names a concept that does not exist; all such names are said."""

    code = "unknown_concept"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"There is no concept {_triggers(names)}. Create it first, or leave it out.")
        self.names = tuple(names)


class UnknownModelError(UnprocessableError):
    """The catalogue has no model of that name."""

    code = "unknown_model"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no model {name!r} here. Choose one of: {', '.join(known)}.")


class UnknownSchedulerError(UnprocessableError):
    """The model has no scheduler of that name."""

    code = "unknown_scheduler"

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"There is no scheduler {name!r} for this model. Choose one of: {', '.join(known)}.")


class PromptTooLongError(UnprocessableError):
    """The prompt's tokens do not fit the text encoder; a concept is never cut off silently."""

    code = "prompt_too_long"

    def __init__(self, names: Sequence[str], encoder: str, tokens: int, limit: int) -> None:
        concerning = f" with {_triggers(names)}" if names else ""
        super().__init__(
            f"The prompt{concerning} has {tokens} tokens for {encoder}, which takes {limit}. "
            "Shorten the prompt, or use concepts with fewer vectors."
        )
        self.names = tuple(names)
        self.tokens = tokens
        self.limit = limit


class ImageUnreadableError(UnprocessableError):
    """A file is damaged, or is not the picture that it says it is."""

    code = "image_unreadable"


class ImageRefusedError(UnprocessableError):
    """Pictures are none that may be learned from here; the safety check says so."""

    code = "image_refused"

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"The safety check refuses {', '.join(names)}. Send other pictures.")
        self.names = tuple(names)


class OutputRefusedError(UnprocessableError):
    """What was made is nothing that may be shown here; the safety check says so."""

    code = "output_refused"

    def __init__(self, refused: int, made: int) -> None:
        super().__init__(f"The safety check refuses {refused} of {made} pictures. Say something else, or another seed.")


class ImageTooLargeError(UnprocessableError):
    """A picture has too many bytes or pixels."""

    code = "image_too_large"


class ImageTooSmallError(UnprocessableError):
    """A picture's shorter side is too small to learn from."""

    code = "image_too_small"


class ImageUnsupportedError(ServiceError):
    """A file is not a kind of picture or archive that is read here."""

    code = "image_unsupported"


class BodyTooLargeError(ServiceError):
    """A request's body is over the limit."""

    code = "body_too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request is larger than {limit_bytes} bytes. Send fewer or smaller files.")


class QuotaError(ServiceError):
    """The caller has used up what there is for now.

    Args:
        limit: how much there is.
        retry_after_s: when to come back.
        window_s: for how long it is; None for what is given back and not used up.
    """

    code = "quota_exceeded"
    policy = "quota"
    """What the quota is called in the answer's headers."""

    def __init__(self, message: str, *, limit: int, retry_after_s: int, window_s: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after_s = retry_after_s
        self.window_s = window_s


class TooManyRequestsError(QuotaError):
    """Too many requests with one key."""

    code = "too_many_requests"
    policy = "requests"

    def __init__(self, limit: int, retry_after_s: int) -> None:
        message = f"More than {limit} requests a minute. Come back in {retry_after_s} s."
        super().__init__(message, limit=limit, retry_after_s=retry_after_s, window_s=60)


class TooManyJobsError(QuotaError):
    """The owner has too many unfinished jobs."""

    code = "too_many_jobs"
    policy = "unfinished-jobs"

    def __init__(self, limit: int) -> None:
        message = f"There are already {limit} unfinished jobs. Wait for some to end, or cancel them."
        super().__init__(message, limit=limit, retry_after_s=5)


class DeviceQuotaExceededError(QuotaError):
    """The owner's jobs had the device for as long as they may today."""

    code = "device_quota_exceeded"
    policy = "device-seconds"

    def __init__(self, limit_s: int, retry_after_s: int) -> None:
        message = f"The {limit_s} s of the device that there are for a day are used up. A new day begins at 0:00 UTC."
        super().__init__(message, limit=limit_s, retry_after_s=retry_after_s, window_s=86_400)


class RpcFailedError(ServiceError):
    """What a worker was asked to do for a request cannot be done; code and sentence are those of the worker's error."""

    code = "rpc_failed"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class LeaseLostError(ServiceError):
    """A worker writes for an attempt that is no longer its own: its lease ended, or the job did.

    Nothing was written. What the worker holds of the job is to be dropped.
    """

    code = "lease_lost"

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} of {job_id} is over; nothing more can be written for it.")


class SettingsError(ServiceError):
    """An environment variable or the model catalogue is wrong."""

    code = "settings_invalid"


class ObjectMissingError(ServiceError):
    """The storage holds no object under a key."""

    code = "object_missing"

    def __init__(self, key: str) -> None:
        super().__init__(f"The storage holds no object {key!r}.")
        self.key = key


class UnavailableError(ServiceError):
    """Something that the service stands on is down; the same request may succeed later."""

    code = "unavailable"


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer."""

    code = "database_unavailable"


class StorageUnavailableError(UnavailableError):
    """The object storage does not answer."""

    code = "storage_unavailable"


class WorkerUnavailableError(UnavailableError):
    """No worker did in time what a request waits for; it was called off."""

    code = "worker_unavailable"

    def __init__(self, waited_s: float) -> None:
        super().__init__(
            f"No worker could do this within {waited_s:g} s: none is there, or it is loading a model. Nothing was "
            "made. Try again in a moment."
        )


def _triggers(names: Sequence[str]) -> str:
    return ", ".join(f"<{name}>" for name in names)
