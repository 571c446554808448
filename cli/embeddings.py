"""`dti explain` and `dti convert`: embedding files of this and other tools.

Heavy modules are imported inside, so that other commands never load them.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast, get_args

import typer

from cli.options import FAMILY_HELP
from cli.terminal import console, load_model, prepare_output, write_file
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
_FamilyName = Annotated[str | None, typer.Option(help=FAMILY_HELP)]


def explain(
    file: _File,
    *,
    model: Annotated[
        str | None,
        typer.Option(help="Compare with a model: a name of the catalogue, a folder, or a Hub id."),
    ] = None,
    family: _FamilyName = None,
    words: Annotated[int, typer.Option(min=1, max=50, help="Nearest words per vector.")] = 8,
) -> None:
    """Print the contents of an embedding file and, for a model, the words nearest to its vectors."""
    from dti.embeddings.embedding import Embedding
    from dti.formats import load, rows_by_encoder

    source = load(file)
    lines = [f"{file.name}: {_describe(source) if isinstance(source, Embedding) else _describe_external(source)}"]
    if model is None:
        lines += _norms(source)
    else:
        loaded = load_model(model, family, Settings.from_environment(os.environ)).family
        for name, rows in rows_by_encoder(source, loaded).items():
            lines += _compare(name, rows, loaded.encoders[name], words)
    typer.echo("\n".join(lines))


def convert(
    file: _File,
    output: Annotated[Path, typer.Argument(help="The new file; the format's suffix is added if missing.")],
    *,
    to: Annotated[str, typer.Option("--format", help=f"Format to write: {_FORMATS}.")],
    model: Annotated[
        str | None,
        typer.Option(help="The model of the embedding; required for a file of another tool and for --normalize."),
    ] = None,
    family: _FamilyName = None,
    name: Annotated[str | None, typer.Option(help="Name in prompts; default: the name in the file.")] = None,
    class_word: Annotated[
        str | None, typer.Option(help="Word for the concept's class; required for a file of another tool.")
    ] = None,
    normalize: Annotated[
        bool, typer.Option("--normalize", help="Rescale vectors to the vocabulary's mean norm: repairs inflated ones.")
    ] = False,
) -> None:
    """Convert an embedding file to another format."""
    from dti.formats import load, write

    if to not in get_args(EmbeddingFormat):
        raise InvalidSettingError("format", f"{to!r} is unknown. Choose one of: {_FORMATS}.")
    source = load(file)
    trigger = _checked_name(source, name)
    embedding = _to_embedding(source, trigger, class_word, model, family, normalize=normalize)
    data, suffix = write(embedding, cast("EmbeddingFormat", to))
    path = output if output.suffix == suffix else output.with_name(output.name + suffix)
    prepare_output(path)
    write_file(path, data)
    console.print(f"<{trigger}> is saved as {path}.", markup=False)


def _to_embedding(
    source: "ExternalEmbedding | Embedding",
    name: str,
    class_word: str | None,
    model: str | None,
    family: str | None,
    *,
    normalize: bool,
) -> "Embedding":
    """The embedding in a file, converted for a model if one is given."""
    from dti.embeddings.embedding import Embedding
    from dti.formats import convert

    word = class_word or (source.class_word if isinstance(source, Embedding) else None)
    if word is None:
        raise InvalidSettingError("class_word", "a file of another tool has none. Set it.")
    if isinstance(source, Embedding) and model is None and not normalize:
        return replace(source, trigger=name, class_word=word)
    if model is None:
        raise InvalidSettingError("model", "a file of another tool, and --normalize, need the model of the embedding.")
    loaded = load_model(model, family, Settings.from_environment(os.environ)).family
    converted = convert(source, family=loaded, trigger=name, class_word=word, normalize=normalize)
    if normalize:
        for encoder, before in converted.norms_before.items():
            console.print(
                f"{encoder}: norms {_format_numbers(before)} → {_format_numbers(converted.norms_after[encoder])}."
            )
    return converted.embedding


def _checked_name(source: "ExternalEmbedding | Embedding", name: str | None) -> str:
    trigger = name or source.trigger or ""
    if re.fullmatch(NAME_PATTERN, trigger) is None:
        raise InvalidSettingError("name", f"{trigger!r} cannot be a name: use a-z, 0-9 and -, such as my-dog.")
    return trigger


def _describe(embedding: "Embedding") -> str:
    return (
        f"dti, <{embedding.trigger}> of class {embedding.class_word!r}, made by {embedding.method} in "
        f"{embedding.steps} steps for {embedding.family} {embedding.fingerprint}."
    )


def _describe_external(source: "ExternalEmbedding") -> str:
    return f"{source.format}, {'without a name' if source.trigger is None else f'called {source.trigger}'}."


def _norms(source: "ExternalEmbedding | Embedding") -> Iterator[str]:
    """Encoders, vectors and norms in the file."""
    for name, vectors in _vectors(source).items():
        norms = _format_numbers(vectors.norm(dim=-1).tolist())
        yield f"{name or 'an encoder without a name'}: {_shape(*vectors.shape)}, norms {norms}"


def _vectors(source: "ExternalEmbedding | Embedding") -> "Mapping[str | None, Tensor]":
    from dti.embeddings.embedding import Embedding

    if isinstance(source, Embedding):
        return {name: rows.vectors for name, rows in source.rows.items()}
    return source.vectors


def _compare(name: str, rows: "Rows", encoder: "TextEncoder", words: int) -> Iterator[str]:
    """Norms relative to the vocabulary's, and the nearest words of each vector."""
    from dti.encoders import vocabulary_norm
    from dti.neighbours import nearest

    mean_norm = vocabulary_norm(encoder.vocabulary, "mean")
    yield f"{name}: {_shape(*rows.vectors.shape)}; a word's norm is {mean_norm:.3g} on average"
    for number, (magnitude, neighbours) in enumerate(
        zip(rows.magnitude.flatten().tolist(), nearest(rows.direction, encoder, words), strict=True), start=1
    ):
        nearest_words = ", ".join(f"{neighbour['token']} {neighbour['cosine']:.2f}" for neighbour in neighbours)
        yield f"  {number}. norm {magnitude:.3g}, {magnitude / mean_norm:.2f} times a word's; nearest: {nearest_words}"


def _shape(vectors: int, width: int) -> str:
    return f"{vectors} vector{'s' * (vectors > 1)} of {width} numbers"


def _format_numbers(numbers: Iterable[float]) -> str:
    return ", ".join(f"{number:.3g}" for number in numbers)
