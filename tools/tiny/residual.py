"""Measures how the text model's residual stream treats a token's row, as the paper's argument needs it.

In a pretrained pre-norm encoder the layers' updates sum to a few times the row's norm, so that a row that has grown
large drowns both its position and its context. It knows a text model and a tokenizer alone.
"""

from statistics import fmean

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from transformers import CLIPTextModel, CLIPTokenizer

from tools.tiny.networks import embedding_tables

SCALES = (1, 2, 4, 8, 16)


def _updates(text_model: CLIPTextModel, ids: Tensor) -> list[Tensor]:
    """Run the model and give every layer's two updates `(1, positions, width)` of the residual stream."""
    seen: list[Tensor] = []

    def keep(_module: torch.nn.Module, _inputs: tuple[Tensor, ...], output: Tensor | tuple[Tensor, ...]) -> None:
        seen.append(output if isinstance(output, Tensor) else output[0])

    writers = [part for name, part in text_model.named_modules() if name.endswith(("self_attn", "mlp"))]
    hooks = [part.register_forward_hook(keep) for part in writers]
    text_model(ids)
    for hook in hooks:
        hook.remove()
    return seen


@torch.no_grad()
def update_ratio(text_model: CLIPTextModel, tokenizer: CLIPTokenizer, words: list[str]) -> float:
    """Give the sum of the update norms at a word over the norm of the word's row, on average over words.

    Args:
        text_model: the encoder.
        tokenizer: knows each of the words as one token.
        words: set into "a photo of a …".

    Returns:
        Of the order of 1 to 5 in a pretrained encoder.
    """
    rows = embedding_tables(text_model)[0]
    ratios = []
    for word in words:
        ids = tokenizer(f"a photo of a {word}", return_tensors="pt")["input_ids"]
        place = ids.shape[1] - 2
        updates = _updates(text_model, ids)
        ratios.append(float(sum(update[0, place].norm() for update in updates) / rows[ids[0, place]].norm()))
    return fmean(ratios)


@torch.no_grad()
def position_attenuation(text_model: CLIPTextModel, tokenizer: CLIPTokenizer, words: list[str]) -> dict[int, float]:
    """Say how alike a word's outputs at two positions become as its row grows.

    Args:
        text_model: the encoder; a row is scaled for the measurement and put back.
        tokenizer: knows each of the words as one token.
        words: repeated through the whole sequence.

    Returns:
        For each factor on the row's norm the mean cosine between the outputs at positions 4 and 16.
    """
    rows = embedding_tables(text_model)[0]
    likeness: dict[int, float] = {}
    for scale in SCALES:
        cosines = []
        for word in words:
            ids = tokenizer(" ".join([word] * 20), return_tensors="pt")["input_ids"]
            number = ids[0, 4].item()
            before = rows[number].clone()
            rows[number] *= scale
            states = text_model(ids).last_hidden_state[0]
            rows[number] = before
            cosines.append(float(cosine_similarity(states[4], states[16], dim=0)))
        likeness[scale] = fmean(cosines)
    return likeness


def row_norms(text_model: CLIPTextModel) -> tuple[float, float]:
    """Give mean and standard deviation of the norms of the rows that are not zero."""
    norms = embedding_tables(text_model)[0].detach().float().norm(dim=1)
    used = norms[norms > 0]
    return float(used.mean()), float(used.std())
