"""diffusers format: one file per encoder with the rows under the prompt's token, `{"<my-dog>": (n, d)}`.

File names are those of diffusers' training scripts: `learned_embeds` for the first encoder, `learned_embeds_2` for the
second; several files are zipped.

Source: diffusers 0.42, loaders/textual_inversion.py and examples/textual_inversion/textual_inversion_sdxl.py.
"""

import io
import re
import zipfile
from collections.abc import Iterable, Mapping

from torch import Tensor

from dti.embeddings import file as embedding_file
from dti.embeddings.embedding import Embedding, Rows
from dti.errors import EmbeddingFormatError
from dti.formats.external import Content, ExternalEmbedding, rows_of, shown, trigger_of

_FILE = re.compile(r"(?:.*/)?learned_embeds(_[2-9])?(?:-steps-\d+)?\.(?:safetensors|bin|pt)")

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Modification time of archive members, constant for deterministic bytes."""


def read(content: Content) -> ExternalEmbedding | None:
    """Read one tensor under a token, or an archive with one such file per encoder."""
    if content.entries and all(isinstance(value, Mapping) for value in content.entries.values()):
        return _read_files(content.entries)
    if not content.entries or not all(isinstance(value, Tensor) for value in content.entries.values()):
        return None
    token, vectors = _only(content.entries)
    return ExternalEmbedding(format="diffusers", vectors={None: vectors}, trigger=trigger_of(token))


def write(embedding: Embedding) -> tuple[bytes, str]:
    """Write one file, or a zip of one file per encoder."""
    files = {_file_name(name): _file(embedding.trigger, rows) for name, rows in sorted(embedding.rows.items())}
    if len(files) == 1:
        return next(iter(files.values())), ".safetensors"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writing:
        for name, data in files.items():
            writing.writestr(zipfile.ZipInfo(name, _EPOCH), data)
    return archive.getvalue(), ".zip"


def _file_name(encoder: str) -> str:
    return f"learned_embeds{encoder.removeprefix('text_encoder')}.safetensors"


def _file(trigger: str, rows: Rows) -> bytes:
    return embedding_file.write({f"<{trigger}>": rows.vectors}, {"format": "pt"})


def _read_files(files: Mapping[str, object]) -> ExternalEmbedding | None:
    named = [(match[1] or "", files[name]) for name in files if (match := _FILE.fullmatch(name))]
    if not named:
        return None
    tokens, vectors = set(), dict[str | None, Tensor]()
    for number, entries in named:
        if f"text_encoder{number}" in vectors:
            raise EmbeddingFormatError(f"The archive holds learned_embeds{number} more than once. Keep one step's.")
        token, vectors[f"text_encoder{number}"] = _only(entries if isinstance(entries, Mapping) else {})
        tokens.add(token)
    if len(tokens) > 1:
        raise EmbeddingFormatError(f"The archive's files are of several concepts: {_listed(tokens)}.")
    return ExternalEmbedding(format="diffusers", vectors=vectors, trigger=trigger_of(tokens.pop()))


def _only(entries: Mapping[str, object]) -> tuple[str, Tensor]:
    if len(entries) != 1:
        raise EmbeddingFormatError(
            f"The file holds {len(entries)} tensors: {_listed(entries)}. One concept's file has one, or one per "
            "encoder under that encoder's name (clip_l, clip_g). Keep each concept in a file of its own."
        )
    ((token, value),) = entries.items()
    return token, rows_of(token, value)


def _listed(names: Iterable[str]) -> str:
    first = sorted(names)[:8]
    return ", ".join(map(shown, first)) or "none"
