"""What was learned of a concept: rows per text encoder and where they belong; its file and the file's checks.

Owns the `dti` file: safetensors with, per encoder, `NAME.direction` (n, d) and `NAME.magnitude` (n, 1) in float32,
and metadata that says for which checkpoint and how the rows were learned. Equal embeddings give equal bytes. It knows
no method, no model and no other tool's format.
"""

import json
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from dti.errors import EmbeddingFormatError, EmbeddingMismatchError
from dti.spec import NAME_PATTERN

_FORMAT, _VERSION = "dti", "1"

_HEADER_LIMIT_BYTES = 1 << 20
"""Far above what encoders, settings and a class word take; a file that announces more is none of ours."""

_UNIT_TOLERANCE = 1e-5
"""Training keeps norms within 1e-6 of one; ten times that leaves room for mixing mixtures in float32."""

_TENSOR_NAME = re.compile(r"([a-z0-9_]+)\.(direction|magnitude)")


@dataclass(frozen=True, eq=False)
class Rows:
    """The learned rows of one encoder, split into where they point and how long they are.

    Attributes:
        direction: unit rows `(n, d)`, float32, on the CPU.
        magnitude: their norms `(n, 1)`, float32, on the CPU.
    """

    direction: Tensor
    magnitude: Tensor

    @property
    def vectors(self) -> Tensor:
        """What stands in for words at the encoder's input, `(n, d)`."""
        return self.magnitude * self.direction


@dataclass(frozen=True, kw_only=True, eq=False)
class Embedding:
    """A concept as learned for one checkpoint.

    Attributes:
        rows: by the encoder's name as diffusers calls it.
        trigger: the concept's bare name, "my-dog", without angle brackets.
        class_word: what kind of thing it is.
        family: the model family that the rows belong to.
        fingerprint: the checkpoint that they belong to.
        method: how they were made.
        settings: of the method; JSON values only.
        steps: updates that were made.
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
        """The embedding as a file: the same bytes for the same embedding, on every machine.

        Raises:
            EmbeddingFormatError: it holds something that a file must not, such as a number that is not finite.
        """
        _check_facts(self)
        tensors = {name: _checked(name, tensor) for name, tensor in _named(self.rows)}
        _check_pairs(tensors)
        return _written(tensors, _metadata(self))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """An embedding from a file of anybody's: nothing in it is executed, everything in it is checked.

        Raises:
            EmbeddingFormatError: what is wrong with the file.
        """
        facts = _read_metadata(data)
        tensors = {name: _checked(name, tensor) for name, tensor in _read_tensors(data).items()}
        _check_pairs(tensors)
        encoders = sorted({name.rpartition(".")[0] for name in tensors})
        try:
            embedding = cls(
                rows={name: Rows(tensors[f"{name}.direction"], tensors[f"{name}.magnitude"]) for name in encoders},
                trigger=facts["trigger"],
                class_word=facts["class_word"],
                family=facts["family"],
                fingerprint=facts["fingerprint"],
                method=facts["method"],
                settings=_parsed(facts["settings"]),
                steps=int(facts["steps"]),
            )
        except (KeyError, ValueError) as error:
            raise EmbeddingFormatError(f"The file's metadata is incomplete or wrong: {error!r}.") from error
        _check_facts(embedding)
        return embedding

    def save(self, path: Path) -> None:
        """Write the file; see `to_bytes`."""
        path.write_bytes(self.to_bytes())

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a file; see `from_bytes`."""
        return cls.from_bytes(path.read_bytes())

    def check_fits(self, *, family: str, fingerprint: str, widths: Mapping[str, int]) -> None:
        """Refuse a checkpoint for which the rows were not learned.

        Args:
            family: of the checkpoint.
            fingerprint: of the checkpoint.
            widths: the checkpoint's encoders and their numbers a row.

        Raises:
            EmbeddingMismatchError: what differs.
        """
        learned = {name: rows.direction.shape[1] for name, rows in self.rows.items()}
        for what, here, there in (
            ("model family", self.family, family),
            ("encoders and row widths", learned, dict(widths)),
            ("checkpoint fingerprint", self.fingerprint, fingerprint),
        ):
            if here != there:
                raise EmbeddingMismatchError(
                    f"<{self.trigger}> was learned for another model: its {what} is {here}, the model's is {there}. "
                    "Use the model that it was trained on, or train the concept on this one."
                )


def _named(rows: Mapping[str, Rows]) -> Iterator[tuple[str, Tensor]]:
    for name in sorted(rows):
        yield f"{name}.direction", rows[name].direction
        yield f"{name}.magnitude", rows[name].magnitude


def _metadata(embedding: Embedding) -> dict[str, str]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "trigger": embedding.trigger,
        "class_word": embedding.class_word,
        "family": embedding.family,
        "fingerprint": embedding.fingerprint,
        "method": embedding.method,
        "settings": json.dumps(dict(embedding.settings), sort_keys=True, allow_nan=False),
        "steps": str(embedding.steps),
    }


def _written(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """Tensors as safetensors with the metadata in our order: the library's own writer leaves that to a hash seed."""
    header: dict[str, object] = {"__metadata__": metadata}
    body = b""
    for name, tensor in tensors.items():
        raw = tensor.contiguous().numpy().astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def _read_metadata(data: bytes) -> dict[str, str]:
    """The header's metadata, once it is known to be ours and of a version that we read."""
    size = int.from_bytes(data[:8], "little")
    if len(data) < 8 or size > min(_HEADER_LIMIT_BYTES, len(data) - 8):  # noqa: PLR2004 - the length's own eight bytes
        raise EmbeddingFormatError("The file is no safetensors file: its header's length is not plausible.")
    header = _parsed(data[8 : 8 + size])
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise EmbeddingFormatError("The file holds no metadata: it was not written as a dti embedding.")
    if (metadata.get("format"), metadata.get("version")) != (_FORMAT, _VERSION):
        raise EmbeddingFormatError(
            f"The file is {metadata.get('format')!r} version {metadata.get('version')!r}; "
            f"this program reads {_FORMAT!r} version {_VERSION!r}."
        )
    return metadata


def _parsed(text: str | bytes) -> dict[str, object]:
    """A JSON object from a stranger, without the numbers that JSON does not have."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise EmbeddingFormatError(f"The file's header or settings are not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise EmbeddingFormatError(f"The file's header or settings are a JSON {type(value).__name__}, not an object.")
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON number")


def _read_tensors(data: bytes) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(data)
    except (SafetensorError, KeyError, ValueError, OverflowError, RuntimeError) as error:
        raise EmbeddingFormatError(f"The file's tensors cannot be read: {error}.") from error


def _checked(name: str, tensor: Tensor) -> Tensor:
    """A tensor of the file, once its name, type, shape and values are what the format says."""
    match = _TENSOR_NAME.fullmatch(name)
    if match is None:
        raise EmbeddingFormatError(f"{name!r} is no part of an embedding: only NAME.direction and NAME.magnitude are.")
    if tensor.dtype != torch.float32 or tensor.dim() != 2 or 0 in tensor.shape:  # noqa: PLR2004 - rows by numbers
        raise EmbeddingFormatError(f"{name} is {tensor.dtype} {tuple(tensor.shape)}, not float32 rows.")
    if not tensor.isfinite().all():
        raise EmbeddingFormatError(f"{name} holds numbers that are not finite.")
    if match[2] == "direction":
        _check_unit(name, tensor)
    elif tensor.shape[1] != 1 or (tensor <= 0).any():
        raise EmbeddingFormatError(f"{name} must be one positive number a row.")
    return tensor


def _check_unit(name: str, direction: Tensor) -> None:
    off = float((torch.linalg.vector_norm(direction.double(), dim=-1) - 1).abs().max())
    if off > _UNIT_TOLERANCE:
        raise EmbeddingFormatError(f"{name} holds rows whose norm is {off:.2g} away from one.")


def _check_pairs(tensors: Mapping[str, Tensor]) -> None:
    """Every encoder has directions and as many magnitudes, and there is at least one encoder."""
    counts: dict[str, dict[str, int]] = {}
    for name, tensor in tensors.items():
        encoder, _, part = name.rpartition(".")
        counts.setdefault(encoder, {})[part] = len(tensor)
    if not counts:
        raise EmbeddingFormatError("The file holds no rows.")
    for encoder, parts in counts.items():
        if parts.get("direction") != parts.get("magnitude"):
            raise EmbeddingFormatError(f"{encoder} has {parts}: there must be as many magnitudes as directions.")


def _check_facts(embedding: Embedding) -> None:
    if re.fullmatch(NAME_PATTERN, embedding.trigger) is None:
        raise EmbeddingFormatError(f"The trigger {embedding.trigger!r} is no concept's name.")
    if embedding.steps < 0:
        raise EmbeddingFormatError(f"{embedding.steps} steps are not possible.")
