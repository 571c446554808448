"""The bundled text-to-image model `tiny`: where its checkpoint lies.

This package knows the recipe that made the checkpoint (`python -m tools.tiny.recipe`) but nothing of concepts:
the checkpoint is loaded by the same family as any other Stable Diffusion checkpoint.
"""

from pathlib import Path

CHECKPOINT = Path(__file__).parent / "checkpoint"
