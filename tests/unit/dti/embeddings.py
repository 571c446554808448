"""Embeddings of arbitrary shapes for laws and refusals."""

import torch

from dti.embeddings.embedding import Embedding, Rows
from tests.unit.dti.laws import unit

FACTS = {
    "trigger": "my-dog",
    "class_word": "dog",
    "family": "sd",
    "fingerprint": "f" * 16,
    "method": "dti",
    "settings": {"steps": 400, "kappa": 1e-4, "seed": None, "schedule": "constant"},
    "steps": 400,
}


def random_rows(seed, count=1, width=8, magnitude=0.387):
    generator = torch.Generator().manual_seed(seed)
    return Rows(unit(torch.randn((count, width), generator=generator)), torch.full((count, 1), magnitude))


def random_embedding(seed=0, *, count=1, widths=(("text_encoder", 8),), magnitude=0.387, **facts):
    rows = {name: random_rows(seed + i, count, width, magnitude) for i, (name, width) in enumerate(widths)}
    return Embedding(rows=rows, **{**FACTS, **facts})


def same_rows(a, b, tolerance=0.0):
    return a.rows.keys() == b.rows.keys() and all(
        torch.allclose(getattr(a.rows[name], part), getattr(b.rows[name], part), atol=tolerance, rtol=0)
        for name in a.rows
        for part in ("direction", "magnitude")
    )
