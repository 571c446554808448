"""Interface of a method: its trainable parameters, the rows they define, the penalty and the optimizer.

A method sees text encoders through `dti.encoders.TextEncoder` only, and no denoising loss, prompt or file.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

import torch
from torch import Tensor

from dti.embeddings.embedding import Rows
from dti.encoders import TextEncoder
from dti.errors import EmbeddingMismatchError
from dti.spec.settings import Training
from dti.sphere import angle, normalize

S = TypeVar("S", bound=Training)


@dataclass
class Learned:
    """State of a method for one encoder of one run. A checkpoint holds this and the optimizer's state.

    Attributes:
        parameters: trainable leaf tensors, float32.
        constants: fixed tensors. Always contains `start`, the spliced rows `(n, d)` before the first update, the
            reference of `Method.rotation`.
    """

    parameters: dict[str, Tensor]
    constants: dict[str, Tensor]


class Method(ABC, Generic[S]):
    """A stateless training method; its state is one `Learned` per encoder.

    `S` is the settings class listed with the method in `dti.spec.registry.METHODS`.
    """

    name: ClassVar[str]

    @abstractmethod
    def start(self, encoder: TextEncoder, class_word: str, settings: S, initial: Rows | None) -> Learned:
        """State before the first update, on the device of the encoder's vocabulary.

        Args:
            encoder: the encoder for which rows are learned.
            class_word: category of the concept, "dog".
            settings: settings of the training.
            initial: rows of the encoder's width to continue from; None to start at the class word.

        Raises:
            InvalidSettingError: the class word has no tokens or no direction in this encoder.
            EmbeddingMismatchError: `initial` differs from `num_vectors` in its number of rows, or cannot be
                represented by this method.
        """

    @abstractmethod
    def vectors(self, learned: Learned) -> Tensor:
        """Rows to splice into prompts, `(n, d)` float32, differentiable in the parameters."""

    @abstractmethod
    def penalty(self, learned: Learned) -> Tensor:
        """Scalar regularisation term, added to the loss once per update."""

    @abstractmethod
    def optimizer(self, learned: Sequence[Learned], settings: S) -> torch.optim.Optimizer:
        """Optimizer over the parameters of all encoders; its `lr` is set before every step."""

    @abstractmethod
    def finish(self, learned: Learned) -> Rows:
        """Rows for use, detached, on the CPU: the directions of `vectors`, with the method's final norm."""

    def rotation(self, learned: Learned) -> Tensor:
        """Angles `(n,)` in radians between the current rows and those before the first update."""
        return angle(normalize(self.vectors(learned).detach()), normalize(learned.constants["start"]))


def vector_count(settings: Training, initial: Rows | None) -> int | None:
    """Number of rows: that of `initial` if given, otherwise `num_vectors`.

    Raises:
        EmbeddingMismatchError: both are given and differ.
    """
    count = None if initial is None else len(initial.direction)
    if count is None or settings.num_vectors in {None, count}:
        return count or settings.num_vectors
    raise EmbeddingMismatchError(
        f"The embedding to continue from has {count} vectors, but num_vectors is {settings.num_vectors}. "
        "Omit num_vectors, or start at the class word."
    )
