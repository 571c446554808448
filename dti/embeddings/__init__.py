"""Learned embeddings: rows, their safetensors file, interpolation and blending."""
