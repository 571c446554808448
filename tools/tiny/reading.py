"""Runs the text model on captions, with rows of any kind in place of their nouns.

It knows ids, positions and rows; training, acceptance and the judges of losses share it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from tools.tiny.captions import Caption


class Tokens(NamedTuple):
    """The ids `(n, positions)` of captions, and the positions `(n,)` of their nouns and of their first end token."""

    ids: Tensor
    nouns: Tensor
    ends: Tensor


def tokenize(tokenizer: CLIPTokenizer, captions: Sequence[Caption]) -> Tokens:
    """Tokenize captions to full length; a caption without a noun has the position of its end for it."""
    texts = [caption.text for caption in captions]
    ids: Tensor = tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")["input_ids"]
    words = torch.tensor(tokenizer.convert_tokens_to_ids([f"{caption.noun}</w>" for caption in captions]))
    return Tokens(ids, (ids == words[:, None]).int().argmax(1), (ids == tokenizer.eos_token_id).int().argmax(1))


def read(
    text_model: CLIPTextModel, ids: Tensor, rows: Tensor | None = None, places: tuple[Tensor, Tensor] | None = None
) -> Tensor:
    """Give the text model's outputs, with rows put in place of some of the tokens'.

    Args:
        text_model: the encoder.
        ids: `(n, positions)`.
        rows: `(m, width)`; none are put in where None.
        places: captions and positions `(m,)` where the rows belong.

    Returns:
        `(n, positions, width)`, the outputs that the denoiser reads.
    """

    def put(_module: torch.nn.Module, _inputs: tuple[Tensor, ...], looked_up: Tensor) -> Tensor:
        return looked_up if rows is None or places is None else looked_up.index_put(places, rows.to(looked_up.dtype))

    hook = text_model.get_input_embeddings().register_forward_hook(put)
    try:
        states: Tensor = text_model(ids).last_hidden_state
    finally:
        hook.remove()
    return states
