"""The bundled text-to-image model `tiny`, a Stable Diffusion checkpoint made by `python -m tools.tiny.recipe`."""

from pathlib import Path

CHECKPOINT = Path(__file__).parent / "checkpoint"
