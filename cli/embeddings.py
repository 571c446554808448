"""The command line's work on embedding files: `dti explain` and `dti convert`, of our own format and of other tools'.

What is heavy is imported inside, so that the other commands never load it.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from cli.terminal import console, load_model, make_way, write_file
from dti.errors import InvalidSettingError
from dti.spec.prompts import NAME_PATTERN
from dti.spec.settings import EmbeddingFormat
from service.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from dti.embeddings.embedding import Embedding, Rows
    from dti.encoders import TextEncoder
    from dti.formats import ExternalEmbedding

_FORMATS = ", ".join(get_args(EmbeddingFormat))

_File = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, help=f"An embedding in any of the formats {_FORMATS}.")
]
_FamilyName = Annotated[str, typer.Option(help="What a checkpoint is that the catalogue does not know.")]


def explain(
    file: _File,
    *,
    model: Annotated[
        str | None,
        typer.Option(help="Hold it against a model too: a name of the catalogue, a folder, or a Hub id."),
    ] = None,
    family: _FamilyName = "sd",
    words: Annotated[int, typer.Option(min=1, max=50, help="Nearest words that are named for each vector.")] = 8,
) -> None:
    """Say what is in an embedding's file and, for a model, which words its vectors are nearest to."""
    from dti.embeddings.embedding import Embedding
    from dti.formats import load, rows_by_encoder

    found = load(file)
    lines = [f"{file.name}: {_history(found) if isinstance(found, Embedding) else _origin(found)}"]
    if model is None:
        lines += _contents(found)
    else:
        loaded = load_model(model, family, Settings.from_environment(os.environ)).family
        for name, rows in rows_by_encoder(found, loaded).items():
            lines += _compared(name, rows, loaded.encoders[name], words)
    typer.echo("\n".join(lines))


def convert(
    file: _File,
    out: Annotated[Path, typer.Argument(help="The new file; the format's ending is added where it is missing.")],
    *,
    to: Annotated[str, typer.Option("--format", help=f"What to write: {_FORMATS}.")],
    model: Annotated[
        str | None, typer.Option(help="The model that it is for; a file of another tool, or --normalize, needs one.")
    ] = None,
    family: _FamilyName = "sd",
    name: Annotated[str | None, typer.Option(help="What prompts call it; the file's own name for it.")] = None,
    class_word: Annotated[
        str | None, typer.Option(help="What kind of thing it is; another tool's file needs it.")
    ] = None,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Give every vector the vocabulary's mean norm: repairs inflated ones.")
    ] = False,
) -> None:
    """Write an embedding in another format."""
    from dti.formats import load, write

    if to not in get_args(EmbeddingFormat):
        raise InvalidSettingError("format", f"{to!r} is unknown. Choose one of: {_FORMATS}.")
    found = load(file)
    called = _name(found, name)
    embedding = _made_for(found, called, class_word, model, family, normalize=normalize)
    data, ending = write(embedding, cast("EmbeddingFormat", to))
    path = out if out.suffix == ending else out.with_name(out.name + ending)
    make_way(path)
    write_file(path, data)
    console.print(f"<{called}> lies in {path}.", markup=False)


def _made_for(
    found: "ExternalEmbedding | Embedding",
    name: str,
    class_word: str | None,
    model: str | None,
    family: str,
    *,
    normalize: bool,
) -> "Embedding":
    """A file's concept as an embedding, for a model where one is named."""
    from dti.embeddings.embedding import Embedding
    from dti.formats import convert

    kind = class_word or (found.class_word if isinstance(found, Embedding) else None)
    if kind is None:
        raise InvalidSettingError("class_word", "another tool's file does not say what kind of thing it is. Say it.")
    if isinstance(found, Embedding) and model is None and not normalize:
        return replace(found, trigger=name, class_word=kind)
    if model is None:
        raise InvalidSettingError("model", "a file of another tool, or --normalize, needs the model that it is for.")
    loaded = load_model(model, family, Settings.from_environment(os.environ)).family
    converted = convert(found, family=loaded, trigger=name, class_word=kind, normalize=normalize)
    if normalize:
        for encoder, before in converted.norms_before.items():
            console.print(f"{encoder}: norms {_listed(before)} became {_listed(converted.norms_after[encoder])}.")
    return converted.embedding


def _name(found: "ExternalEmbedding | Embedding", name: str | None) -> str:
    called = name or found.trigger or ""
    if re.fullmatch(NAME_PATTERN, called) is None:
        raise InvalidSettingError("name", f"{called!r} cannot be a name: use a-z, 0-9 and -, such as my-dog.")
    return called


def _history(embedding: "Embedding") -> str:
    return (
        f"dti, <{embedding.trigger}> of class {embedding.class_word!r}, made by {embedding.method} in "
        f"{embedding.steps} steps for {embedding.family} {embedding.fingerprint}."
    )


def _origin(found: "ExternalEmbedding") -> str:
    return f"{found.format}, {'without a name' if found.trigger is None else f'called {found.trigger}'}."


def _contents(found: "ExternalEmbedding | Embedding") -> Iterator[str]:
    """Encoders, vectors and norms, as the file has them."""
    for name, vectors in _vectors(found).items():
        norms = _listed(vectors.norm(dim=-1).tolist())
        yield f"{name or 'an encoder without a name'}: {_counted(*vectors.shape)}, norms {norms}"


def _vectors(found: "ExternalEmbedding | Embedding") -> "Mapping[str | None, Tensor]":
    from dti.embeddings.embedding import Embedding

    if isinstance(found, Embedding):
        return {name: rows.vectors for name, rows in found.rows.items()}
    return found.vectors


def _compared(name: str, rows: "Rows", encoder: "TextEncoder", words: int) -> Iterator[str]:
    """Norms against the vocabulary's, and the nearest words, vector by vector."""
    from dti.encoders import vocabulary_norm
    from dti.neighbours import nearest

    usual = vocabulary_norm(encoder.vocabulary, "mean")
    yield f"{name}: {_counted(*rows.vectors.shape)}; a word's norm is {usual:.3g} on average"
    for number, (magnitude, near) in enumerate(
        zip(rows.magnitude.flatten().tolist(), nearest(rows.direction, encoder, words), strict=True), start=1
    ):
        named = ", ".join(f"{one['token']} {one['cosine']:.2f}" for one in near)
        yield f"  {number}. norm {magnitude:.3g}, {magnitude / usual:.2f} times a word's; nearest: {named}"


def _counted(vectors: int, width: int) -> str:
    return f"{vectors} vector{'s' * (vectors > 1)} of {width} numbers"


def _listed(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:.3g}" for number in numbers)
