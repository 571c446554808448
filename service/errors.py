"""The errors of the service: one tree, a stable code and a message each. A flat table of classes, one per code.

    ServiceError
    ├── InvalidInputError           a field of a request is invalid
    ├── UnauthenticatedError        the caller is not authenticated
    │   ├── KeyMissingError         the request has no key
    │   ├── KeyMalformedError       the key is mistyped or cut off
    │   ├── KeyUnknownError         no such key exists
    │   ├── KeyExpiredError         the key has expired
    │   └── KeyRevokedError         the key was revoked
    ├── ScopeMissingError           the key lacks the scope
    ├── NotFoundError               the resource does not exist, or belongs to another owner
    ├── ConflictError               the request does not fit the present state
    │   ├── NameTakenError          the owner already has a concept of that name
    │   ├── ConceptNotReadyError    the concept has no embedding yet
    │   ├── ModelMismatchError      concept and request belong to different models
    │   ├── EmbeddingsDifferError   two concepts have different numbers of vectors
    │   ├── ConceptWithoutPicturesError  the concept has no pictures to train on
    │   ├── ConceptDeletedError     the concept was deleted during the request
    │   ├── IdempotencyInFlightError  the first of equal requests is still being accepted
    │   ├── StorageQuotaExceededError  the owner's storage quota is full
    │   ├── TooManyWebhooksError    the owner has the allowed number of webhooks
    │   ├── JobCancelledError       the job of the request was cancelled meanwhile
    │   ├── JobEndedError           the job has ended and cannot be cancelled
    │   ├── JobNotFailedError       only a failed job can be retried
    │   ├── JobUnfinishedError      the job has not ended, and nothing of it can be deleted
    │   └── ConceptInTrainingError  the concept is in training, and its pictures cannot change
    ├── UnprocessableError          a well-formed request cannot be carried out
    │   ├── IdempotencyKeyReusedError  the Idempotency-Key belongs to another request
    │   ├── UnknownConceptError     a prompt or the body names a concept that does not exist
    │   ├── UnknownModelError       the catalogue has no model of that name
    │   ├── UnknownSchedulerError   the model has no scheduler of that name
    │   ├── PromptTooLongError      the prompt has too many tokens for a text encoder
    │   ├── ImageUnreadableError    a file is damaged
    │   ├── ImageRefusedError       the safety check refuses uploaded pictures
    │   ├── OutputRefusedError      the safety check refuses generated pictures
    │   ├── ImageTooLargeError      a picture has too many bytes or pixels
    │   └── ImageTooSmallError      a picture's shorter side is too small
    ├── ImageUnsupportedError       a file has no supported picture or archive format
    ├── BodyTooLargeError           a request's body is over the limit
    ├── QuotaError                  a quota of the caller is used up for now
    │   ├── TooManyRequestsError    the key has made too many requests in this minute
    │   ├── TooManyJobsError        the owner has too many unfinished jobs
    │   ├── TooManyStreamsError     the key has too many event streams open
    │   └── DeviceQuotaExceededError  the owner's device time of the day is used up
    ├── RpcFailedError              a worker could not carry out an RPC
    ├── JobTimeoutError             a job has run for longer than the service allows
    ├── LeaseLostError              a write of an attempt that has lost its job
    ├── BucketForeignError          the bucket belongs to another database
    ├── SchemaRevisionError         the database's schema is older than this version needs
    ├── DowngradeImpossibleError    the newest migration of the database cannot be undone
    ├── SettingsError               an environment variable or the model catalogue is invalid
    ├── ObjectMissingError          the object store has no object under a key
    └── UnavailableError            a dependency of the service is down
        ├── DatabaseUnavailableError
        ├── StorageUnavailableError
        └── WorkerUnavailableError  no worker has answered an RPC in time

A message states the problem, with the value, and what to do. HTTP statuses are in api/errors.py.
"""

from collections.abc import Sequence
from typing import ClassVar


class ServiceError(Exception):
    """The root of all errors that the service raises on purpose."""

    code = "service_error"
    detail_names: ClassVar[tuple[str, ...]] = ()

    @property
    def message(self) -> str:
        """The message for people."""
        return str(self)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle it by its members: between processes the arguments of its constructor are not known."""
        return _restored, (type(self), self.args, vars(self))

    def details(self) -> dict[str, object]:
        """The members of a response beside code and message."""
        return {name: getattr(self, name) for name in self.detail_names}


def _restored(kind: type[ServiceError], args: tuple[object, ...], members: dict[str, object]) -> ServiceError:
    error = kind.__new__(kind, *args)
    vars(error).update(members)
    return error


class InvalidInputError(ServiceError):
    """A field of a request is invalid.

    Args:
        field: its path, such as "training.steps".
        message: the value, the problem, and the allowed values.
    """

    code = "invalid_input"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field

    def details(self) -> dict[str, object]:
        """The field and its message, as one entry of a list."""
        return {"errors": [{"field": self.field, "message": str(self)}]}


class UnauthenticatedError(ServiceError):
    """The caller is not authenticated."""

    code = "unauthenticated"


class KeyMissingError(UnauthenticatedError):
    """The request has no key."""

    code = "key_missing"

    def __init__(self) -> None:
        super().__init__("This request needs a key. Send it as `Authorization: Bearer dti_…`.")


class KeyMalformedError(UnauthenticatedError):
    """The key is mistyped or cut off: its check digits do not fit."""

    code = "key_malformed"

    def __init__(self) -> None:
        super().__init__("The key is malformed: a part is missing or was changed. Copy it again.")


class KeyUnknownError(UnauthenticatedError):
    """No such key exists."""

    code = "key_unknown"

    def __init__(self) -> None:
        super().__init__("There is no such key here. Ask the operator of this service for one.")


class KeyExpiredError(UnauthenticatedError):
    """The key has expired."""

    code = "key_expired"

    def __init__(self) -> None:
        super().__init__("The key has expired. Ask the operator of this service for another.")


class KeyRevokedError(UnauthenticatedError):
    """The key was revoked."""

    code = "key_revoked"

    def __init__(self) -> None:
        super().__init__("The key was revoked. Ask the operator of this service for another.")


class ScopeMissingError(ServiceError):
    """The key lacks the scope; any one of the scopes is enough."""

    code = "scope_missing"
    detail_names = ("scopes",)

    def __init__(self, scopes: Sequence[str]) -> None:
        super().__init__(f"The key does not allow this: it lacks the scope {' or '.join(scopes)}.")
        self.scopes = tuple(scopes)


class NotFoundError(ServiceError):
    """The resource does not exist, or belongs to another owner; the two are not told apart."""

    code = "not_found"

    def __init__(self, kind: str, reference: str) -> None:
        super().__init__(f"There is no {kind} {reference!r} here.")


class ConflictError(ServiceError):
    """The request does not fit the present state."""

    code = "conflict"


class NameTakenError(ConflictError):
    """The owner already has a concept of that name."""

    code = "name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"There already is a concept named {name!r}. Choose another name, retrain it, or delete it.")


class ConceptNotReadyError(ConflictError):
    """The concept has no embedding yet."""

    code = "concept_not_ready"
    detail_names = ("names",)

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"{_triggers(names)} has no embedding yet. Wait until its training has succeeded.")
        self.names = tuple(names)


class ModelMismatchError(ConflictError):
    """Concept and request belong to different models."""

    code = "model_mismatch"
    detail_names = ("names",)

    def __init__(self, name: str, concept_model: str, wanted_model: str) -> None:
        super().__init__(
            f"<{name}> was learned for the model {concept_model!r} and cannot be used with {wanted_model!r}. "
            "Use a model of the same family without strict, or train the concept for this model."
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
    """The concept has no pictures to train on: it was imported or blended, or its pictures have expired."""

    code = "no_pictures"
    detail_names = ("names",)

    def __init__(self, name: str) -> None:
        super().__init__(
            f"<{name}> has no pictures: it was imported or blended, or they were kept as long as they are here. "
            "Create a concept from pictures."
        )
        self.names = (name,)


class ConceptDeletedError(ConflictError):
    """The concept was deleted during the request."""

    code = "concept_deleted"

    def __init__(self) -> None:
        super().__init__("A concept of this request was deleted meanwhile.")


class IdempotencyInFlightError(ConflictError):
    """The first of several equal requests under one Idempotency-Key is still being accepted."""

    code = "idempotency_in_flight"

    def __init__(self) -> None:
        super().__init__("The first request under this Idempotency-Key is still being accepted. Send it again shortly.")


class StorageQuotaExceededError(ConflictError):
    """The owner's storage quota is full."""

    code = "storage_quota_exceeded"
    detail_names = ("limit",)

    def __init__(self, stored_bytes: int, limit_bytes: int) -> None:
        super().__init__(
            f"{stored_bytes} bytes would be stored, and {limit_bytes} are allowed. Delete concepts to free storage."
        )
        self.limit = limit_bytes


class TooManyWebhooksError(ConflictError):
    """The owner has the allowed number of webhooks."""

    code = "too_many_webhooks"
    detail_names = ("limit",)

    def __init__(self, limit: int) -> None:
        super().__init__(f"There are already {limit} webhooks. Delete one, or subscribe one to more events.")
        self.limit = limit


class JobCancelledError(ConflictError):
    """The job of the request was cancelled meanwhile."""

    code = "job_cancelled"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"{job_id} was cancelled before its pictures were finished. Send the request again.")


class JobNotFailedError(ConflictError):
    """Only a failed job can be retried.

    Args:
        job_id: the job.
        status: its status.
    """

    code = "job_not_failed"

    def __init__(self, job_id: str, status: str) -> None:
        super().__init__(f"The job {job_id} is {status}. Only a failed job can be retried: send the request again.")


class JobEndedError(ConflictError):
    """The job has ended and cannot be cancelled."""

    code = "job_ended"

    def __init__(self, job_id: str, status: str) -> None:
        super().__init__(f"The job {job_id} has already {status} and cannot be cancelled.")


class JobUnfinishedError(ConflictError):
    """The job has not ended, and nothing of it can be deleted."""

    code = "job_unfinished"

    def __init__(self, job_id: str) -> None:
        super().__init__(f"The job {job_id} has not ended. Wait for its end, or cancel it first.")


class ConceptInTrainingError(ConflictError):
    """The concept is in training, and its pictures cannot change."""

    code = "concept_in_training"

    def __init__(self, name: str, job_id: str) -> None:
        super().__init__(f"{name!r} is in training ({job_id}). Wait for its end, or cancel it, then change pictures.")


class UnprocessableError(ServiceError):
    """A well-formed request cannot be carried out."""

    code = "unprocessable"


class IdempotencyKeyReusedError(UnprocessableError):
    """The Idempotency-Key belongs to a request of other content."""

    code = "idempotency_key_reused"

    def __init__(self, key: str) -> None:
        super().__init__(f"The Idempotency-Key {key!r} was used for another request. Take a new key for a new request.")


class UnknownConceptError(UnprocessableError):
    """A prompt or the body names concepts that do not exist; all of them are listed.

    Args:
        names: texts between angle brackets, or references.
        nearest: similar names of the owner's concepts.
    """

    code = "unknown_concept"
    detail_names = ("names", "nearest")

    def __init__(self, names: Sequence[str], nearest: Sequence[str] = ()) -> None:
        hint = f" The nearest is {_triggers(nearest)}." if nearest else ""
        super().__init__(f"There is no concept {_triggers(names)}.{hint} Create it first, or leave it out.")
        self.names = tuple(names)
        self.nearest = tuple(nearest)


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
    """The prompt has too many tokens for a text encoder; a concept is never cut off silently."""

    code = "prompt_too_long"
    detail_names = ("names", "tokens", "limit")

    def __init__(
        self, names: Sequence[str], encoder: str, tokens: int, limit: int, subject: str = "The prompt"
    ) -> None:
        concerning = f" with {_triggers(names)}" if names else ""
        super().__init__(
            f"{subject}{concerning} has {tokens} tokens for {encoder}, which takes {limit}. "
            "Shorten it, or use concepts with fewer vectors."
        )
        self.names = tuple(names)
        self.tokens = tokens
        self.limit = limit


class ImageUnreadableError(UnprocessableError):
    """A file is damaged, or has another format than it claims."""

    code = "image_unreadable"


class ImageRefusedError(UnprocessableError):
    """The safety check refuses uploaded pictures."""

    code = "image_refused"
    detail_names = ("names",)

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(f"The safety check refuses {', '.join(names)}. Send other pictures.")
        self.names = tuple(names)


class OutputRefusedError(UnprocessableError):
    """The safety check refuses generated pictures."""

    code = "output_refused"

    def __init__(self, refused: int, made: int) -> None:
        super().__init__(f"The safety check refuses {refused} of {made} pictures. Change the prompt or the seed.")


class ImageTooLargeError(UnprocessableError):
    """A picture has too many bytes or pixels."""

    code = "image_too_large"


class ImageTooSmallError(UnprocessableError):
    """A picture's shorter side is too small to learn from."""

    code = "image_too_small"


class ImageUnsupportedError(ServiceError):
    """A file has no supported picture or archive format."""

    code = "image_unsupported"


class BodyTooLargeError(ServiceError):
    """A request's body is over the limit."""

    code = "body_too_large"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The request is larger than {limit_bytes} bytes. Send fewer or smaller files.")


class QuotaError(ServiceError):
    """A quota of the caller is used up for now.

    Args:
        limit: size of the quota.
        retry_after_s: seconds until there is some of it again.
        window_s: seconds for which it is granted; None for a limit on a number of resources.
    """

    code = "quota_exceeded"
    policy = "quota"
    """Name of the quota in the RateLimit headers."""
    detail_names = ("limit",)

    def __init__(self, message: str, *, limit: int, retry_after_s: int, window_s: int | None = None) -> None:
        super().__init__(message)
        self.limit = limit
        self.retry_after_s = retry_after_s
        self.window_s = window_s


class TooManyRequestsError(QuotaError):
    """The key has made too many requests in this minute."""

    code = "too_many_requests"
    policy = "requests"

    def __init__(self, limit: int, retry_after_s: int) -> None:
        message = f"More than {limit} requests a minute. Retry in {retry_after_s} s."
        super().__init__(message, limit=limit, retry_after_s=retry_after_s, window_s=60)


class TooManyJobsError(QuotaError):
    """The owner has too many unfinished jobs."""

    code = "too_many_jobs"
    policy = "unfinished-jobs"

    def __init__(self, limit: int) -> None:
        message = f"There are already {limit} unfinished jobs. Wait for some to end, or cancel them."
        super().__init__(message, limit=limit, retry_after_s=5)


class TooManyStreamsError(QuotaError):
    """The key has too many event streams open."""

    code = "too_many_streams"
    policy = "streams"

    def __init__(self, limit: int) -> None:
        message = f"There are already {limit} event streams open with this key. Close some of them."
        super().__init__(message, limit=limit, retry_after_s=5)


class DeviceQuotaExceededError(QuotaError):
    """The owner's device time of the day is used up."""

    code = "device_quota_exceeded"
    policy = "device-seconds"

    def __init__(self, limit_s: int, retry_after_s: int) -> None:
        message = f"The quota of {limit_s} s of device time a day is used up. It is renewed at 0:00 UTC."
        super().__init__(message, limit=limit_s, retry_after_s=retry_after_s, window_s=86_400)


class RpcFailedError(ServiceError):
    """A worker could not carry out an RPC; code and message are those of its error."""

    code = "rpc_failed"

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class JobTimeoutError(ServiceError):
    """A job has run for longer than the service allows.

    Args:
        limit_s: DTI_JOB_LIMIT_S.
    """

    code = "job_timeout"

    def __init__(self, limit_s: float) -> None:
        super().__init__(
            f"The job has run for more than {limit_s:g} s, the limit of this service (DTI_JOB_LIMIT_S). "
            "Ask for fewer steps or pictures."
        )


class LeaseLostError(ServiceError):
    """A write of an attempt that has lost its job: the lease expired, or the job has ended.

    Nothing was written; the worker drops the job.
    """

    code = "lease_lost"

    def __init__(self, job_id: str, attempt: int) -> None:
        super().__init__(f"Attempt {attempt} of {job_id} is over; nothing more can be written for it.")


class BucketForeignError(ServiceError):
    """The bucket belongs to another database."""

    code = "bucket_foreign"

    def __init__(self, bucket: str, owner_id: str | None, database_id: str) -> None:
        owner = f"to the database {owner_id}" if owner_id else "to an unknown database: it holds objects and no id"
        super().__init__(
            f"The bucket {bucket} belongs {owner}, and this is {database_id}. Set DTI_S3_BUCKET to another bucket; "
            "or, if this database takes its place, restore it first and then run `dti migrate --adopt-bucket`."
        )


class SchemaRevisionError(ServiceError):
    """The database's schema is older than this version needs.

    Args:
        found: the database's revision; None without tables.
        needed: the one of this version.
    """

    code = "schema_revision"

    def __init__(self, found: str | None, needed: str) -> None:
        state = "has no tables" if found is None else f"is of revision {found}"
        super().__init__(f"The database {state}; this version needs revision {needed}. Run `dti migrate`.")


class DowngradeImpossibleError(ServiceError):
    """The newest migration of the database cannot be undone.

    Args:
        found: the database's revision; None without tables.
    """

    code = "downgrade_impossible"

    def __init__(self, found: str | None) -> None:
        state = "has no tables" if found is None else f"is of revision {found}, which this version cannot undo"
        super().__init__(f"The database {state}. Nothing was changed. Restore a backup instead (docs/operations.md).")


class SettingsError(ServiceError):
    """An environment variable or the model catalogue is invalid."""

    code = "settings_invalid"


class ObjectMissingError(ServiceError):
    """The object store has no object under a key."""

    code = "object_missing"

    def __init__(self, key: str) -> None:
        super().__init__(f"The object store has no object {key!r}.")
        self.key = key


class UnavailableError(ServiceError):
    """A dependency of the service is down; the same request may succeed later."""

    code = "unavailable"


class DatabaseUnavailableError(UnavailableError):
    """The database does not answer."""

    code = "database_unavailable"


class StorageUnavailableError(UnavailableError):
    """The object store does not answer."""

    code = "storage_unavailable"


class WorkerUnavailableError(UnavailableError):
    """No worker has answered an RPC in time; it was cancelled."""

    code = "worker_unavailable"

    def __init__(self, waited_s: float) -> None:
        super().__init__(
            f"No worker answered within {waited_s:g} s: none is running, or it is loading a model. Nothing was "
            "created. Try again in a moment."
        )


def _triggers(names: Sequence[str]) -> str:
    return ", ".join(f"<{name}>" for name in names)
