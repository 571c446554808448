"""Stable Diffusion web UI's files: a pickle with `string_to_param`, or safetensors with `emb_params`.

Owns those two layouts; kohya's trainer writes both for models of one encoder. For two encoders the web UI reads the
layout of `dti.formats.comfyui`.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/textual_inversion/textual_inversion.py.
"""

import io
from collections.abc import Mapping

import torch
from torch import nn

from dti.embeddings.embedding import Embedding
from dti.errors import EmbeddingFormatError
from dti.formats import comfyui
from dti.formats.external import Content, ExternalEmbedding, rows_of, trigger_of

_PLACE = "*"
"""What the concept is called inside of the file; the tool itself goes by `name`, or the file's."""

_TOKEN = 265
"""The id of the place's token in CLIP's vocabulary; written by everybody, read by nobody."""


def read(content: Content) -> ExternalEmbedding | None:
    """The one tensor of either layout."""
    if "string_to_param" in content.entries:
        return _read_pickled(content.entries)
    if content.entries.keys() == {"emb_params"}:
        vectors = rows_of("emb_params", content.entries["emb_params"])
        return ExternalEmbedding(format="a1111", vectors={None: vectors}, trigger=None)
    return None


def write(embedding: Embedding) -> tuple[bytes, str]:
    """The pickle, which has room for one encoder; for several the layout that the web UI reads then."""
    if len(embedding.rows) > 1:
        return comfyui.write(embedding)
    (rows,) = embedding.rows.values()
    sink = io.BytesIO()
    torch.save(
        {
            "string_to_token": {_PLACE: _TOKEN},
            "string_to_param": {_PLACE: rows.vectors},
            "name": embedding.trigger,
            "step": embedding.steps,
            "sd_checkpoint": None,
            "sd_checkpoint_name": None,
        },
        sink,
    )
    return sink.getvalue(), ".pt"


def _read_pickled(entries: Mapping[str, object]) -> ExternalEmbedding:
    params = entries["string_to_param"]
    # A ParameterDict of an old PyTorch keeps its tensors where a new one no longer looks.
    held = vars(params).get("_parameters") if isinstance(params, nn.ParameterDict) else params
    if not isinstance(held, Mapping) or len(held) != 1:
        count = len(held) if isinstance(held, Mapping) else "no"
        raise EmbeddingFormatError(f"string_to_param holds {count} tensors by name; a concept has one.")
    return ExternalEmbedding(
        format="a1111",
        vectors={None: rows_of("string_to_param", next(iter(held.values())))},
        trigger=trigger_of(entries.get("name")),
    )
