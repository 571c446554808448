"""The algorithm's errors: one tree, each with a stable code and a message.

    DTIError
    ├── InvalidSettingError     a setting has the wrong type or is out of bounds
    ├── PromptError
    │   ├── PromptTooLongError  the prompt's tokens do not fit the text encoder
    │   └── UnknownTriggerError the prompt names a concept without an embedding
    ├── PictureError
    │   └── NoPicturesError     there are no pictures
    ├── EmbeddingError
    │   ├── EmbeddingFormatError    a file is not a readable embedding
    │   └── EmbeddingMismatchError  rows were learned for another checkpoint, encoder or width
    ├── ModelError
    │   ├── ModelUnavailableError   a checkpoint cannot be loaded: files, memory, licence
    │   │   └── ModelTooLargeError  it does not fit into memory
    │   └── UnknownSchedulerError   a family has no sampler of that name
    ├── TrainingDivergedError   a loss was not finite; the rows are unchanged
    ├── RenderingDivergedError  a picture's latents were not finite
    ├── CheckpointError         a checkpoint is of other work, or damaged
    └── StudyError              a study cannot be made or continued

A message states the failure, the value and the remedy. This module imports nothing.
"""

from typing import ClassVar


class DTIError(Exception):
    """Root of all errors raised by the algorithm."""

    code = "dti_error"
    detail_names: ClassVar[tuple[str, ...]] = ()

    def details(self) -> dict[str, object]:
        """The values in the message, by name."""
        return {name: getattr(self, name) for name in self.detail_names}


class InvalidSettingError(DTIError):
    """A setting has the wrong type or is out of bounds.

    Args:
        field: name of the setting.
        message: the fault and the allowed values.
    """

    code = "invalid_setting"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field

    def details(self) -> dict[str, object]:
        """The field and its message, as one entry of a list."""
        return {"errors": [{"field": self.field, "message": str(self)}]}


class PromptError(DTIError):
    """A prompt cannot be encoded."""

    code = "prompt_invalid"


class PromptTooLongError(PromptError):
    """The prompt's tokens do not fit the text encoder; prompts are never truncated.

    Args:
        encoder: name of the encoder.
        tokens: number of tokens, begin and end included.
        limit: the encoder's maximum.
        subject: has so many tokens.
    """

    code = "prompt_too_long"
    detail_names = ("tokens", "limit")

    def __init__(self, encoder: str, tokens: int, limit: int, subject: str = "The prompt") -> None:
        super().__init__(
            f"{subject} has {tokens} tokens for {encoder}, which takes {limit}. "
            "Shorten the prompt, or use concepts with fewer vectors."
        )
        self.tokens = tokens
        self.limit = limit


class UnknownTriggerError(PromptError):
    """The prompt names a concept without an embedding.

    Args:
        name: the text between the brackets.
        nearest: the most similar name of an embedding that was given.
    """

    code = "unknown_concept"
    detail_names = ("name",)

    def __init__(self, name: str, nearest: str | None = None) -> None:
        hint = "" if nearest is None else f" The nearest is <{nearest}>."
        super().__init__(
            f"The prompt names <{name}>, but no embedding of that name was given.{hint} Pass it, or leave it out."
        )
        self.name = name


class PictureError(DTIError):
    """Pictures cannot be used."""

    code = "pictures_invalid"


class NoPicturesError(PictureError):
    """There are no pictures."""

    code = "no_pictures"


class EmbeddingError(DTIError):
    """An embedding cannot be read or used."""

    code = "embedding_invalid"


class EmbeddingFormatError(EmbeddingError):
    """A file is not a readable embedding."""

    code = "embedding_unreadable"


class EmbeddingMismatchError(EmbeddingError):
    """Rows were learned for another checkpoint, encoder or width."""

    code = "embedding_mismatch"


class ModelError(DTIError):
    """A model cannot be loaded or lacks a feature."""

    code = "model_error"


class ModelUnavailableError(ModelError):
    """A checkpoint cannot be loaded: files, memory or licence are missing."""

    code = "model_unavailable"


class ModelTooLargeError(ModelUnavailableError):
    """A checkpoint does not fit into memory.

    Args:
        source: source of the checkpoint.
        memory: description of the memory and its free part.
    """

    code = "model_too_large"

    def __init__(self, source: str, memory: str) -> None:
        super().__init__(
            f"{source} does not fit into the {memory}. Free memory, use a smaller model, or offload its text "
            "encoders (offload = true in the catalogue)."
        )


class UnknownSchedulerError(ModelError):
    """A family has no sampler of that name."""

    code = "unknown_scheduler"

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"There is no scheduler {name!r} here. Choose one of: {', '.join(known)}.")


class TrainingDivergedError(DTIError):
    """A loss or gradient was not finite; the rows are unchanged.

    Args:
        step: number of the update, from 1.
        loss: the loss.
    """

    code = "training_diverged"

    def __init__(self, step: int, loss: float) -> None:
        super().__init__(
            f"The loss was {loss} at update {step}: training stopped before it could touch the rows. "
            "Lower the learning rate, or check the pictures."
        )
        self.step = step
        self.loss = loss


class RenderingDivergedError(DTIError):
    """A picture's latents were not finite."""

    code = "rendering_diverged"

    def __init__(self, step: int) -> None:
        super().__init__(
            f"The picture was no longer made of finite numbers at step {step}. "
            "Lower the guidance scale, or use more steps or another scheduler."
        )


class CheckpointError(DTIError):
    """A checkpoint is of other work, or damaged."""

    code = "checkpoint_unusable"


class StudyError(DTIError):
    """A study cannot be made or continued as asked."""

    code = "study_error"
