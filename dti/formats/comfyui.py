"""ComfyUI and kohya format: safetensors with one tensor per encoder, under ComfyUI's encoder names.

ComfyUI falls back to the first tensor if the expected name is missing, so models with one encoder accept any name.

Source: ComfyUI, `embedding_key` in comfy/sd1_clip.py, sdxl_clip.py and text_encoders/*.py.
"""

from collections.abc import Mapping

from torch import Tensor

from dti.embeddings import file as embedding_file
from dti.embeddings.embedding import Embedding
from dti.embeddings.names import COMFYUI_NAMES
from dti.errors import EmbeddingFormatError
from dti.formats.external import Content, ExternalEmbedding, rows_of

_READ: Mapping[str, str] = {
    "clip_l": "text_encoder",
    "clip_h": "text_encoder",
    "clip_g": "text_encoder_2",
    "gemma2_2b": "text_encoder",
    "qwen3_4b": "text_encoder",
    "qwen3_8b": "text_encoder",
    "t5xxl": "t5xxl",
}
"""Names in diffusers of ComfyUI's encoders; an encoder that no supported family has keeps its name."""


def read(content: Content) -> ExternalEmbedding | None:
    """Read one tensor per encoder, all under known names."""
    if not content.entries or not content.entries.keys() <= {*_READ, "text_encoder", "text_encoder_2"}:
        return None
    vectors = dict[str | None, Tensor]()
    for name, value in content.entries.items():
        encoder = _READ.get(name, name)
        if encoder in vectors:
            held = ", ".join(sorted(content.entries))
            raise EmbeddingFormatError(f"The file holds {held}: more than one of them is for {encoder}. Keep one.")
        vectors[encoder] = rows_of(name, value)
    return ExternalEmbedding(format="comfyui", vectors=vectors, trigger=None)


def write(embedding: Embedding) -> tuple[bytes, str]:
    """Write one file for all encoders."""
    tensors = {
        COMFYUI_NAMES.get((embedding.family, name), name): rows.vectors for name, rows in sorted(embedding.rows.items())
    }
    return embedding_file.write(tensors, {"format": "pt"}), ".safetensors"
