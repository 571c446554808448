"""What a concept learned, in words: the vocabulary's tokens whose directions are nearest to its rows.

Owns the search and how a token is spelled for people. It knows no file and no prompt.
"""

from typing import TypedDict

import torch
from tokenizers import Tokenizer
from torch import Tensor

from dti.embeddings.embedding import Embedding
from dti.encoders import TextEncoder
from dti.families import Family
from dti.sphere import normalize

_ROWS_AT_ONCE = 16384
"""A language model's table in float32 takes gigabytes: a part of it is held at a time."""

_UNREADABLE = "\N{REPLACEMENT CHARACTER}"


class Neighbour(TypedDict):
    """A token of the vocabulary, and the cosine between its direction and a concept's."""

    token: str
    cosine: float


def neighbours(embedding: Embedding, family: Family, k: int) -> dict[str, list[list[Neighbour]]]:
    """The tokens nearest to every row by direction, nearest first.

    Begin, end and other special tokens, and rows without a direction, are no words and are left out. A token that only
    begins words of CLIP's is spelled with an ellipsis; one that begins a language model's has a space before it.

    Args:
        embedding: of this family.
        family: whose vocabularies are searched.
        k: how many at most.

    Returns:
        By encoder, for each of its vectors in order.

    Raises:
        EmbeddingMismatchError: the rows were learned for another model.
    """
    family.check_fits(embedding)
    return {name: nearest(rows.direction, family.encoders[name], k) for name, rows in embedding.rows.items()}


@torch.inference_mode()
def nearest(directions: Tensor, encoder: TextEncoder, k: int) -> list[list[Neighbour]]:
    """The same for unit rows `(n, d)` of one encoder, wherever they come from."""
    words = encoder.tokenizer
    cosines = _cosines(directions, encoder.vocabulary)
    cosines[:, _no_words(words, cosines.shape[1])] = -torch.inf
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
    """Between each direction and each row of the vocabulary `(n, V)`, on the CPU; -inf where a row is zero."""
    v = directions.to(vocabulary.device)
    starts = range(0, len(vocabulary), _ROWS_AT_ONCE)
    parts = [v @ normalize(vocabulary[start : start + _ROWS_AT_ONCE].float()).T for start in starts]
    return torch.cat(parts, dim=1).nan_to_num(nan=-torch.inf, neginf=-torch.inf).clamp(max=1).cpu()


def _no_words(words: Tokenizer, rows: int) -> list[int]:
    """Ids that no text becomes: special ones, and rows of the table beyond the tokenizer's."""
    special = {token for token, added in words.get_added_tokens_decoder().items() if added.special}
    unused = {token for token in range(rows) if words.id_to_token(token) is None}
    return sorted(special | unused)


def _spelled(words: Tokenizer, token: int) -> str:
    """A token as text; one that cannot be read, such as a part of a character, as the tokenizer itself writes it."""
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
