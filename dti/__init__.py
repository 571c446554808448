"""Directional Textual Inversion: rows, prompts and pictures; it knows no web, queue, database or object store."""
