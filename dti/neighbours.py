"""Nearest neighbours of an embedding's rows among the vocabulary's tokens, by cosine."""

from typing import TypedDict

import torch
from tokenizers import Tokenizer
from torch import Tensor

from dti.embeddings.embedding import Embedding
from dti.encoders import TextEncoder
from dti.families import Family
from dti.sphere import normalize

_CHUNK_ROWS = 16384
"""A language model's whole table in float32 would take gigabytes."""

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


class Neighbour(TypedDict):
    """A token of the vocabulary, and the cosine between its row and a learned row."""

    token: str
    cosine: float


def neighbours(embedding: Embedding, family: Family, k: int) -> dict[str, list[list[Neighbour]]]:
    """Tokens nearest to every row, in descending cosine.

    Special tokens and zero rows are excluded. A CLIP token that begins a longer word is spelled with an ellipsis; a
    language-model token that begins a word has a leading space.

    Args:
        embedding: an embedding of this model.
        family: the model, with the vocabularies to search.
        k: maximum number of tokens per row.

    Returns:
        Neighbours by encoder, then by row.

    Raises:
        EmbeddingMismatchError: the rows were learned for another model.
    """
    family.check_fits(embedding)
    return {name: nearest(rows.direction, family.encoders[name], k) for name, rows in embedding.rows.items()}


@torch.inference_mode()
def nearest(directions: Tensor, encoder: TextEncoder, k: int) -> list[list[Neighbour]]:
    """Tokens nearest to unit rows `(n, d)` of one encoder; see `neighbours`."""
    words = encoder.tokenizer
    cosines = _cosines(directions, encoder.vocabulary)
    cosines[:, _excluded(words, cosines.shape[1])] = -torch.inf
    best = cosines.topk(min(k, cosines.shape[1]), dim=-1)
    return [
        [
            Neighbour(token=_spelled(words, token), cosine=cosine)
            for token, cosine in zip(ids, values, strict=True)
            if cosine > -torch.inf
        ]
        for ids, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]


def _cosines(directions: Tensor, vocabulary: Tensor) -> Tensor:
    """Cosines `(n, V)` between directions and vocabulary rows, on the CPU; -inf for a zero row."""
    v = directions.to(vocabulary.device)
    starts = range(0, len(vocabulary), _CHUNK_ROWS)
    parts = [v @ normalize(vocabulary[start : start + _CHUNK_ROWS].float()).T for start in starts]
    return torch.cat(parts, dim=1).nan_to_num(nan=-torch.inf, neginf=-torch.inf).clamp(max=1).cpu()


def _excluded(words: Tokenizer, rows: int) -> list[int]:
    """Ids of special tokens, and rows of the table without a token."""
    special = {token for token, added in words.get_added_tokens_decoder().items() if added.special}
    unused = {token for token in range(rows) if words.id_to_token(token) is None}
    return sorted(special | unused)


def _spelled(words: Tokenizer, token: int) -> str:
    """A token as text; an unreadable one (a fragment of a character) in the tokenizer's own spelling."""
    piece = words.id_to_token(token) or ""
    suffix = getattr(words.model, "end_of_word_suffix", None) or ""
    text = words.decode([token], skip_special_tokens=False).removesuffix(suffix)
    if not _is_readable(text):
        text = piece.removesuffix(suffix)
    if not _is_readable(text):
        text = piece.encode("unicode_escape").decode()
    return text if piece.endswith(suffix) else f"{text}…"


def _is_readable(text: str) -> bool:
    return bool(text.strip()) and text.isprintable() and _UNREADABLE not in text
