"""An embedding: learned rows per text encoder with their provenance, and the `dti` file format.

A `dti` file is safetensors with, per encoder, `NAME.direction` (n, d) and `NAME.magnitude` (n, 1) in float32, their
product under ComfyUI's name of the encoder, and metadata about checkpoint, method and settings. Equal embeddings give
equal bytes.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from torch import Tensor

from dti.embeddings import file as embedding_file
from dti.embeddings.names import COMFYUI_NAMES
from dti.errors import EmbeddingFormatError, EmbeddingMismatchError
from dti.spec.prompts import NAME_PATTERN

_FORMAT, _VERSION = "dti", "1"

_UNIT_TOLERANCE = 1e-5
"""Tolerance of a direction's norm. Training keeps 1e-6; repeated mixing in float32 adds rounding."""

_TENSOR_NAME = re.compile(r"([a-z0-9_]+)\.(direction|magnitude)")
_STEPS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, eq=False)
class Rows:
    """Learned rows of one encoder, as directions and norms.

    Attributes:
        direction: unit rows `(n, d)`, float32, on the CPU.
        magnitude: norms `(n, 1)`, float32, on the CPU.
    """

    direction: Tensor
    magnitude: Tensor

    @property
    def vectors(self) -> Tensor:
        """The rows `(n, d)` for the encoder's input embedding."""
        return self.magnitude * self.direction


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """A concept learned for one checkpoint.

    Attributes:
        rows: by encoder, named as in diffusers.
        trigger: the concept's name, "my-dog", without angle brackets.
        class_word: category of the concept.
        family: model family of the checkpoint.
        fingerprint: fingerprint of the checkpoint.
        method: method that produced the rows.
        settings: settings of the method; JSON values only.
        steps: updates made.
    """

    rows: Mapping[str, Rows]
    trigger: str
    class_word: str
    family: str
    fingerprint: str
    method: str
    settings: Mapping[str, object]
    steps: int

    def to_bytes(self) -> bytes:
        """Serialise to a `dti` file; deterministic on every machine.

        Raises:
            EmbeddingFormatError: it contains values that are not allowed in a file, such as non-finite numbers.
        """
        metadata = _metadata(self)
        _check_metadata(metadata)
        tensors = dict(_named(self.rows))
        _check_tensors(tensors)
        return embedding_file.write({**dict(_products(self.rows, self.family)), **tensors}, metadata)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read an untrusted `dti` file: every value is checked, nothing is executed.

        Raises:
            EmbeddingFormatError: the file is damaged or invalid.
        """
        every, facts = embedding_file.read(data)
        _check_metadata(facts)
        products = {name: tensor for name, tensor in every.items() if "." not in name}
        tensors = {name: tensor for name, tensor in every.items() if name not in products}
        _check_tensors(tensors)
        encoders = sorted({name.rpartition(".")[0] for name in tensors})
        rows = {name: Rows(tensors[f"{name}.direction"], tensors[f"{name}.magnitude"]) for name in encoders}
        _check_products(products, dict(_products(rows, facts["family"])))
        return cls(
            rows=rows,
            trigger=facts["trigger"],
            class_word=facts["class_word"],
            family=facts["family"],
            fingerprint=facts["fingerprint"],
            method=facts["method"],
            settings=embedding_file.read_object(facts["settings"]),
            steps=int(facts["steps"]),
        )

    def save(self, path: Path) -> None:
        """Write to a file; see `to_bytes`."""
        path.write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read from a file; see `from_bytes`."""
        return cls.from_bytes(path.read_bytes())

    def check_fits(self, *, family: str, fingerprint: str, widths: Mapping[str, int]) -> None:
        """Refuse another checkpoint than the one that the rows were learned for.

        Args:
            family: family of the checkpoint.
            fingerprint: fingerprint of the checkpoint.
            widths: row widths by encoder.

        Raises:
            EmbeddingMismatchError: family, encoders, widths or fingerprint differ.
        """
        learned = {name: rows.direction.shape[1] for name, rows in self.rows.items()}
        for subject, own, expected in (
            ("model family", self.family, family),
            ("encoders and row widths", learned, dict(widths)),
            ("checkpoint fingerprint", self.fingerprint, fingerprint),
        ):
            if own != expected:
                raise EmbeddingMismatchError(
                    f"<{self.trigger}> was learned for another model: "
                    f"its {subject} is {own}, the model's is {expected}. "
                    "Use the model that it was trained on, or train the concept on this one."
                )


def _named(rows: Mapping[str, Rows]) -> Iterator[tuple[str, Tensor]]:
    for name in sorted(rows):
        yield f"{name}.direction", rows[name].direction
        yield f"{name}.magnitude", rows[name].magnitude


def _products(rows: Mapping[str, Rows], family: str) -> Iterator[tuple[str, Tensor]]:
    """The rows under ComfyUI's names, which sort before the others.

    ComfyUI takes the tensor of its encoder's name, or else the first one in a file; without these it would take
    directions for rows, and say nothing.
    """
    for name in sorted(rows):
        yield COMFYUI_NAMES.get((family, name), f"rows_{name}"), rows[name].vectors


def _check_products(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Check that rows for other tools, which old files lack, are magnitude times direction."""
    for name, tensor in found.items():
        if name not in wanted:
            raise EmbeddingFormatError(f"{name!r} is no part of an embedding: NAME.direction and NAME.magnitude are.")
        if not torch.equal(tensor, wanted[name]):
            raise EmbeddingFormatError(f"{name} holds other rows than its directions and magnitudes.")


def _metadata(embedding: Embedding) -> dict[str, str]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "trigger": embedding.trigger,
        "class_word": embedding.class_word,
        "family": embedding.family,
        "fingerprint": embedding.fingerprint,
        "method": embedding.method,
        "settings": embedding_file.written_object(embedding.settings),
        "steps": str(embedding.steps),
    }


_FACTS = ("trigger", "class_word", "family", "fingerprint", "method", "settings", "steps")


def _check_metadata(metadata: Mapping[str, str]) -> None:
    found = metadata.get("format"), metadata.get("version")
    if found != (_FORMAT, _VERSION):
        raise EmbeddingFormatError(f"The file is {found}; this program reads {(_FORMAT, _VERSION)}.")
    missing = [name for name in _FACTS if name not in metadata]
    if missing:
        raise EmbeddingFormatError(f"The file's metadata lacks {', '.join(missing)}.")
    if re.fullmatch(NAME_PATTERN, metadata["trigger"]) is None:
        raise EmbeddingFormatError(f"The trigger {metadata['trigger']!r} is no concept's name.")
    if _STEPS.fullmatch(metadata["steps"]) is None:
        raise EmbeddingFormatError(f"{metadata['steps'][:20]!r} is no number of steps.")


def _check_tensors(tensors: Mapping[str, Tensor]) -> None:
    """Check names, types, shapes and values, and that every encoder has as many magnitudes as directions."""
    counts: dict[str, dict[str, int]] = {}
    for name, tensor in tensors.items():
        match = _TENSOR_NAME.fullmatch(name)
        if match is None:
            raise EmbeddingFormatError(f"{name!r} is no part of an embedding: NAME.direction and NAME.magnitude are.")
        _check_rows(name, tensor)
        (_check_unit if match[2] == "direction" else _check_positive)(name, tensor)
        counts.setdefault(match[1], {})[match[2]] = len(tensor)
    if not counts:
        raise EmbeddingFormatError("The file holds no rows.")
    for encoder, parts in counts.items():
        if parts.get("direction") != parts.get("magnitude"):
            raise EmbeddingFormatError(f"{encoder} has {parts}: there must be as many magnitudes as directions.")


def _check_rows(name: str, tensor: Tensor) -> None:
    if tensor.dtype != torch.float32 or tensor.dim() != 2 or 0 in tensor.shape:  # noqa: PLR2004 - (n, d)
        raise EmbeddingFormatError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}, not float32 rows.")
    if not tensor.isfinite().all():
        raise EmbeddingFormatError(f"{name} holds numbers that are not finite.")


def _check_unit(name: str, direction: Tensor) -> None:
    off = float((torch.linalg.vector_norm(direction.double(), dim=-1) - 1).abs().max())
    if off > _UNIT_TOLERANCE:
        raise EmbeddingFormatError(f"{name} holds rows with a norm {off:.2g} away from one.")


def _check_positive(name: str, magnitude: Tensor) -> None:
    if magnitude.shape[1] != 1 or (magnitude <= 0).any():
        raise EmbeddingFormatError(f"{name} must be one positive number a row.")
