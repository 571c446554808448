"""ComfyUI's names of text encoders, under which its loader looks for the rows in a file.

Source: ComfyUI, `embedding_key` in comfy/sd1_clip.py, sdxl_clip.py and text_encoders/*.py.
"""

from collections.abc import Mapping

COMFYUI_NAMES: Mapping[tuple[str, str], str] = {
    ("sd", "text_encoder"): "clip_l",
    ("sdxl", "text_encoder"): "clip_l",
    ("sdxl", "text_encoder_2"): "clip_g",
    ("sana", "text_encoder"): "gemma2_2b",
    ("zimage", "text_encoder"): "qwen3_4b",
    ("flux2", "text_encoder"): "qwen3_4b",
}
"""By family and encoder; others keep their own name, which ComfyUI accepts."""
