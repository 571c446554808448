"""AUTOMATIC1111 (Stable Diffusion web UI) format: a pickle with `string_to_param`, or safetensors with `emb_params`.

kohya's trainer writes both for models with one encoder. For two encoders the web UI reads the layout of
`dti.formats.comfyui`.

Source: AUTOMATIC1111/stable-diffusion-webui, modules/textual_inversion/textual_inversion.py.
"""

import io
import re
import zipfile
from collections.abc import Mapping

import torch
from torch import nn

from dti.embeddings.embedding import Embedding
from dti.errors import EmbeddingFormatError
from dti.formats import comfyui
from dti.formats.external import Content, ExternalEmbedding, rows_of, trigger_of

_PLACEHOLDER = "*"
"""Key of the concept in the file; the web UI uses `name` or the file's name."""

_ALLOWED = re.compile(r"[^/]+/(data/\d+|version|data\.pkl)")
_EPOCH = (1980, 1, 1, 0, 0, 0)

_TOKEN = 265
"""Id of the placeholder in CLIP's vocabulary, part of the format and unused by readers."""


def read(content: Content) -> ExternalEmbedding | None:
    """Read the single tensor of either layout."""
    if "string_to_param" in content.entries:
        return _read_pickled(content.entries)
    if content.entries.keys() == {"emb_params"}:
        vectors = rows_of("emb_params", content.entries["emb_params"])
        return ExternalEmbedding(format="a1111", vectors={None: vectors}, trigger=None)
    return None


def write(embedding: Embedding) -> tuple[bytes, str]:
    """Write the pickle, limited to one encoder, or for several encoders the `comfyui` layout."""
    if len(embedding.rows) > 1:
        return comfyui.write(embedding)
    (rows,) = embedding.rows.values()
    sink = io.BytesIO()
    torch.save(
        {
            "string_to_token": {_PLACEHOLDER: _TOKEN},
            "string_to_param": {_PLACEHOLDER: rows.vectors},
            "name": embedding.trigger,
            "step": embedding.steps,
            "sd_checkpoint": None,
            "sd_checkpoint_name": None,
        },
        sink,
    )
    return _within_the_rule(sink.getvalue()), ".pt"


def _within_the_rule(data: bytes) -> bytes:
    """The same pickle in an archive of the files that the web UI allows; it refuses the others as malicious.

    Source: AUTOMATIC1111/stable-diffusion-webui, modules/safe.py, `allowed_zip_names_re`.
    """
    sink = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as written, zipfile.ZipFile(sink, "w") as allowed:
        for name in written.namelist():
            if _ALLOWED.fullmatch(name):
                allowed.writestr(zipfile.ZipInfo(name, _EPOCH), written.read(name))
    return sink.getvalue()


def _read_pickled(entries: Mapping[str, object]) -> ExternalEmbedding:
    params = entries["string_to_param"]
    # A ParameterDict pickled by an old PyTorch keeps its tensors in `_parameters`, which a new one does not read.
    held = vars(params).get("_parameters") if isinstance(params, nn.ParameterDict) else params
    if not isinstance(held, Mapping) or len(held) != 1:
        count = len(held) if isinstance(held, Mapping) else "no"
        raise EmbeddingFormatError(f"string_to_param holds {count} tensors by name; a concept has one.")
    return ExternalEmbedding(
        format="a1111",
        vectors={None: rows_of("string_to_param", next(iter(held.values())))},
        trigger=trigger_of(entries.get("name")),
    )
