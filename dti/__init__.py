"""Directional Textual Inversion for text-to-image models: training, rendering, interpolation and embedding files."""

__version__ = "0.1.0"
