"""The algorithm's errors: one tree, a stable code and a sentence each.

    DTIError
    ├── InvalidSettingError     a hyper-parameter is of the wrong type or out of bounds
    ├── PromptError
    │   ├── PromptTooLongError  the prompt's tokens do not fit the text encoder
    │   └── UnknownTriggerError the prompt names a concept for which no rows were given
    ├── PictureError
    │   └── NoPicturesError     there is nothing to learn from
    ├── EmbeddingError
    │   ├── EmbeddingFormatError    a file is not an embedding that can be read
    │   └── EmbeddingMismatchError  rows were learned for another checkpoint, encoder or width
    ├── ModelError
    │   ├── ModelUnavailableError   a checkpoint cannot be loaded: files, memory, licence
    │   │   └── ModelTooLargeError  it does not fit into the memory
    │   └── UnknownSchedulerError   a family has no scheduler of that name
    ├── TrainingDivergedError   a loss was not finite; training stopped before it touched the rows
    ├── RenderingDivergedError  a picture's latents were not finite; there is no picture
    └── CheckpointError         a training's checkpoint is of other work, or damaged

Every message says what happened, with the value, and what to do. This module imports nothing.
"""

from typing import ClassVar


class DTIError(Exception):
    """The root: catch this to catch everything that the algorithm raises on purpose."""

    code = "dti_error"
    detail_names: ClassVar[tuple[str, ...]] = ()

    def details(self) -> dict[str, object]:
        """The values in the message, by name."""
        return {name: getattr(self, name) for name in self.detail_names}


class InvalidSettingError(DTIError):
    """A hyper-parameter is of the wrong type or out of bounds.

    Args:
        field: the setting's name.
        message: what is wrong with the value, and what is allowed.
    """

    code = "invalid_setting"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field

    def details(self) -> dict[str, object]:
        """The field and its message, as one entry of a list."""
        return {"errors": [{"field": self.field, "message": str(self)}]}


class PromptError(DTIError):
    """A prompt cannot be turned into conditioning."""

    code = "prompt_invalid"


class PromptTooLongError(PromptError):
    """The prompt's tokens do not fit the text encoder; a concept is never cut off silently.

    Args:
        encoder: the encoder that it does not fit.
        tokens: how many tokens the prompt has, begin and end included.
        limit: how many the encoder takes.
    """

    code = "prompt_too_long"
    detail_names = ("tokens", "limit")

    def __init__(self, encoder: str, tokens: int, limit: int) -> None:
        super().__init__(
            f"The prompt has {tokens} tokens for {encoder}, which takes {limit}. "
            "Shorten the prompt, or use concepts with fewer vectors."
        )
        self.tokens = tokens
        self.limit = limit


class UnknownTriggerError(PromptError):
    """The prompt names a concept for which no rows were given."""

    code = "unknown_concept"
    detail_names = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The prompt names <{name}>, but no embedding of that name was given. Pass it, or leave it out."
        )
        self.name = name


class PictureError(DTIError):
    """Pictures cannot be learned from."""

    code = "pictures_invalid"


class NoPicturesError(PictureError):
    """There is nothing to learn from."""

    code = "no_pictures"


class EmbeddingError(DTIError):
    """An embedding cannot be read or used."""

    code = "embedding_invalid"


class EmbeddingFormatError(EmbeddingError):
    """A file is not an embedding that can be read."""

    code = "embedding_unreadable"


class EmbeddingMismatchError(EmbeddingError):
    """Rows were learned for another checkpoint, encoder or width."""

    code = "embedding_mismatch"


class ModelError(DTIError):
    """A model cannot do what is asked."""

    code = "model_error"


class ModelUnavailableError(ModelError):
    """A checkpoint cannot be loaded: files, memory or licence are missing."""

    code = "model_unavailable"


class ModelTooLargeError(ModelUnavailableError):
    """A checkpoint does not fit into the memory.

    Args:
        source: of the checkpoint.
        memory: which memory, and how much of it is free.
    """

    code = "model_too_large"

    def __init__(self, source: str, memory: str) -> None:
        super().__init__(
            f"{source} does not fit into the {memory}. Free some, use a smaller model, or let its text encoders rest "
            "beside the GPU (offload = true in the catalogue)."
        )


class UnknownSchedulerError(ModelError):
    """A family has no scheduler of that name."""

    code = "unknown_scheduler"

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"There is no scheduler {name!r} here. Choose one of: {', '.join(known)}.")


class TrainingDivergedError(DTIError):
    """A loss was not finite; training stopped before it could touch the rows.

    Args:
        step: the update, counted from 1, at which it happened.
        loss: the value that was seen.
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
    """A picture's latents were not finite; there is no picture."""

    code = "rendering_diverged"

    def __init__(self, step: int) -> None:
        super().__init__(
            f"The picture was no longer made of finite numbers at step {step}. "
            "Lower the guidance scale, or use more steps or another scheduler."
        )


class CheckpointError(DTIError):
    """A training's checkpoint is of other work, or damaged."""

    code = "checkpoint_unusable"
