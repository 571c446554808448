"""The tokenizer: byte-level BPE in which every word of the captions is one token.

It knows the layout of CLIP's tokenizer files and BPE's merges; the meaning of the words belongs to captions.py.
"""

import itertools
from collections import Counter

from tokenizers.pre_tokenizers import ByteLevel
from transformers import CLIPTokenizer

from tools.tiny.captions import vocabulary

POSITIONS = 24
END_OF_WORD = "</w>"
START, END = "<|startoftext|>", "<|endoftext|>"


def learn_merges(words: list[str]) -> list[tuple[str, str]]:
    """Learn byte-pair merges until every word is one token.

    Args:
        words: the words; each counts once.

    Returns:
        The merges in the order in which they were learned, which is their rank.
    """
    split = [[*word[:-1], word[-1] + END_OF_WORD] for word in words]
    merges = []
    while pairs := Counter(pair for pieces in split for pair in itertools.pairwise(pieces)):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        split = [_merge(pieces, best) for pieces in split]
    return merges


def _merge(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    rest = iter(range(len(pieces)))
    for place in rest:
        if tuple(pieces[place : place + 2]) == pair:
            merged.append("".join(pair))
            next(rest)
        else:
            merged.append(pieces[place])
    return merged


def build_tokenizer() -> CLIPTokenizer:
    """Build the tokenizer of the miniature world.

    Returns:
        A tokenizer that knows every byte, every caption word as one token, and CLIP's two special tokens at the end.
    """
    merges = learn_merges(vocabulary())
    letters = sorted(ByteLevel.alphabet())
    entries = [*letters, *(letter + END_OF_WORD for letter in letters), *map("".join, merges), START, END]
    ids = {entry: place for place, entry in enumerate(dict.fromkeys(entries))}
    return CLIPTokenizer(vocab=ids, merges=merges, model_max_length=POSITIONS)


def trained_ids(tokenizer: CLIPTokenizer) -> list[int]:
    """List the ids of the caption words and of the two special tokens: the rows that training may move."""
    return sorted({number for word in vocabulary() for number in tokenizer(word)["input_ids"]})
