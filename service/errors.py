"""The service's errors: one tree, a stable code and a sentence each.

    ServiceError
    ├── InvalidInputError           a field of a request is wrong
    ├── NotFoundError               there is no such thing, or it belongs to somebody else
    ├── ConflictError               the request and the state of things do not agree
    │   ├── NameTakenError          the owner already has a concept of that name
    │   ├── ConceptNotReadyError    the concept has no embedding yet
    │   ├── ModelMismatchError      concept and request belong to different models
    │   ├── EmbeddingsDifferError   two concepts have different numbers of vectors
    │   └── JobEndedError           the job has ended and cannot be cancelled
    ├── UnprocessableError          a well-formed request names or says what cannot be done
    │   ├── UnknownConceptError     a prompt or the body names a concept that does not exist
    │   ├── UnknownModelError       the catalogue has no model of that name
    │   ├── UnknownSchedulerError   the model has no scheduler of that name
    │   ├── PromptTooLongError      the prompt's tokens do not fit the text encoder
    │   ├── ImageUnreadableError    a file is damaged
    │   ├── ImageTooLargeError      a picture has too many bytes or pixels
    │   └── ImageTooSmallError      a picture's shorter side is too small
    ├── ImageUnsupportedError       a file is not a kind of picture or archive that is read
    ├── BodyTooLargeError           a request's body is over the limit
    ├── TooManyJobsError            the owner has too many unfinished jobs
    ├── FenceLostError              a worker writes for an attempt that is no longer its own
    ├── SettingsError               an environment variable or the model catalogue is wrong
    ├── ObjectMissingError          the storage holds no object under a key
    └── UnavailableError            something that the service stands on is down
        ├── DatabaseUnavailableError
        └── StorageUnavailableError

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


class JobEndedError(ConflictError):
    """The job has ended and cannot be cancelled."""

    code = "job_ended"

    def __init__(self, job_id: str, status: str) -> None:
        super().__init__(f"The job {job_id} has already {status} and cannot be cancelled.")


class UnprocessableError(ServiceError):
    """A well-formed request names or says what cannot be done."""

    code = "unprocessable"


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


class TooManyJobsError(ServiceError):
    """The owner has too many unfinished jobs."""

    code = "too_many_jobs"

    def __init__(self, limit: int) -> None:
        super().__init__(f"There are already {limit} unfinished jobs. Wait for some to end, or cancel them.")
        self.limit = limit


class FenceLostError(ServiceError):
    """A worker writes for an attempt that is no longer its own: its lease ended, or the job did.

    Nothing was written. What the worker holds of the job is to be dropped.
    """

    code = "fence_lost"

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


def _triggers(names: Sequence[str]) -> str:
    return ", ".join(f"<{name}>" for name in names)
