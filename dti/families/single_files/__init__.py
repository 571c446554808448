"""Configurations of one-file checkpoints and CLIP's vocabulary, so that they load without a network.

`sd1`, `sd2` and `sdxl` are folders in the diffusers layout without weights. `clip_merges.txt.gz` holds the merges of
CLIP's tokenizer (NOTICE has its licence).
"""

import gzip
from functools import cache
from pathlib import Path

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

FOLDER = Path(__file__).parent


@cache
def _merges() -> tuple[tuple[str, str], ...]:
    with gzip.open(FOLDER / "clip_merges.txt.gz", "rt", encoding="utf-8") as lines:
        pairs = [line.split() for line in lines]
    return tuple((first, second) for first, second in pairs)


def clip_tokenizer(pad_token: str, length: int) -> CLIPTokenizer:
    """CLIP's tokenizer.

    Args:
        pad_token: fills prompts up.
        length: tokens of a prompt, begin and end included.
    """
    letters = _letters()
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *("".join(pair) for pair in _merges())]
    vocabulary = {piece: number for number, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=vocabulary, merges=list(_merges()), pad_token=pad_token, model_max_length=length)


def _letters() -> list[str]:
    """The characters that stand for the 256 bytes, in CLIP's order: printable ones first, the others by their byte."""
    alphabet = sorted(ByteLevel.alphabet())
    printable = [letter for letter in alphabet if ord(letter) < 256]  # noqa: PLR2004 - bytes
    return printable + [letter for letter in alphabet if ord(letter) >= 256]  # noqa: PLR2004 - bytes
