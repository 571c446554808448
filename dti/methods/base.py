"""What a method is: which numbers are learned for a concept, how they become rows, and what moves them.

Owns the two borders, `Encoder` towards the families and `Method` towards training, and how a class word's rows and a
vocabulary's magnitude are read. It knows no loss, no prompt and no file.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from dti.embeddings.embedding import Rows
from dti.errors import EmbeddingMismatchError, InvalidSettingError
from dti.spec.settings import Magnitude, Training
from dti.sphere import angle, normalize

S = TypeVar("S", bound=Training)


class Encoder(Protocol):
    """What a method may know of a frozen text encoder."""

    @property
    def name(self) -> str:
        """As diffusers calls it: `text_encoder`, `text_encoder_2`."""

    @property
    def width(self) -> int:
        """Numbers a row."""

    @property
    def vocabulary(self) -> Tensor:
        """The frozen input table `(V, d)`, in any dtype, on the device."""

    def word_ids(self, text: str) -> list[int]:
        """The tokens of a text, without begin and end."""

    def output(self, ids: Sequence[int]) -> Tensor:
        """The encoder's last hidden state `(len(ids), d)` at these tokens, between begin and end."""


@dataclass
class Learned:
    """Everything that a method holds for one encoder of one run; with the optimizer's state, all a checkpoint needs.

    Attributes:
        parameters: what is trained: leaves, float32, requiring gradients.
        constants: what stays as `start` made it. Always holds `start`, the spliced rows `(n, d)` before the first
            update, from which angles are measured.
    """

    parameters: dict[str, Tensor]
    constants: dict[str, Tensor]


class Method(ABC, Generic[S]):
    """A way to learn a concept. Stateless: what is learned lives in `Learned`, one per encoder.

    `S` is the kind of its settings, as `dti.spec.registry.METHODS` lists it.
    """

    name: ClassVar[str]

    @abstractmethod
    def start(self, encoder: Encoder, class_word: str, settings: S, initial: Rows | None) -> Learned:
        """What is learned, before the first update, on the device of the encoder's vocabulary.

        Args:
            encoder: the rows' home.
            class_word: the concept's kind, "dog".
            settings: of the training.
            initial: rows to go on from, of the encoder's width; None to start at the class word.

        Raises:
            InvalidSettingError: the class word has no tokens or no direction in this encoder.
            EmbeddingMismatchError: `initial` has another number of rows than the settings ask for, or such as the
                method cannot go on from.
        """

    @abstractmethod
    def vectors(self, learned: Learned) -> Tensor:
        """The rows that are spliced into the prompt, `(n, d)` float32, differentiable in the parameters."""

    @abstractmethod
    def penalty(self, learned: Learned) -> Tensor:
        """A scalar that is added to the loss once per update, however many pictures or parts the update has."""

    @abstractmethod
    def optimizer(self, learned: Sequence[Learned], settings: S) -> torch.optim.Optimizer:
        """What moves the parameters of all encoders of one run; its `lr` is set before every step."""

    @abstractmethod
    def finish(self, learned: Learned) -> Rows:
        """The rows as they would be used if training ended now, on the CPU, detached from training.

        They point where `vectors` points; a method may give them another norm.
        """

    def turned(self, learned: Learned) -> Tensor:
        """How far every row has turned since the start: angles `(n,)` in radians."""
        return angle(normalize(self.vectors(learned).detach()), normalize(learned.constants["start"]))


def class_rows(encoder: Encoder, class_word: str, count: int | None) -> Tensor:
    """The class word's rows of the vocabulary, in float32.

    Args:
        encoder: whose vocabulary is read.
        class_word: one or more words.
        count: how many rows; None for one per token. Fewer than tokens: the first ones; more: cyclically repeated.

    Returns:
        Rows `(count, d)`, none of them zero.

    Raises:
        InvalidSettingError: the class word has no tokens here, or one without a direction.
    """
    rows = encoder.vocabulary[class_ids(encoder, class_word, count)].detach().float()
    if not rows.any(dim=-1).all():
        raise InvalidSettingError(
            "class_word", f"{encoder.name} does not know {class_word!r} (a zero row). Use another word."
        )
    return rows


def class_ids(encoder: Encoder, class_word: str, count: int | None) -> list[int]:
    """The class word's tokens; see `class_rows`.

    Raises:
        InvalidSettingError: it has none here.
    """
    ids = encoder.word_ids(class_word)
    if not ids:
        raise InvalidSettingError("class_word", f"{class_word!r} has no tokens in {encoder.name}. Use a plain word.")
    return [ids[i % len(ids)] for i in range(count or len(ids))]


def agreed_count(settings: Training, initial: Rows | None) -> int | None:
    """How many rows a concept has: those to go on from, else as the settings say.

    Raises:
        EmbeddingMismatchError: the two differ.
    """
    count = None if initial is None else len(initial.direction)
    if count is None or settings.num_vectors in {None, count}:
        return count or settings.num_vectors
    raise EmbeddingMismatchError(
        f"The embedding to go on from has {count} vectors, but num_vectors is {settings.num_vectors}. "
        "Leave num_vectors out, or start at the class word."
    )


def magnitude_of(vocabulary: Tensor, choice: Magnitude) -> float:
    """A row norm: the number itself, or a statistic over the vocabulary's non-zero rows.

    Padding and reserved tokens are often zero rows, which no learned row should be pulled towards.
    """
    if not isinstance(choice, str):
        return float(choice)
    norms = torch.linalg.vector_norm(vocabulary.detach(), dim=-1, dtype=torch.float32)
    norms = norms[norms > 0].double()
    return float(getattr(norms, choice)())
