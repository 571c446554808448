"""Hypothesis strategies for directions: many dimensions, near and antipodal points, both precisions."""

import torch
from hypothesis import settings
from hypothesis import strategies as st

law = settings(deadline=None, max_examples=60, derandomize=True)
"""Bounded and deterministic: the same examples on every run and machine."""

dtypes = st.sampled_from([torch.float32, torch.float64])
seeds = st.integers(0, 2**30).map(lambda number: 2 * number)
other_seeds = st.integers(0, 2**30).map(lambda number: 2 * number + 1)
"""Offset of the seed for a second draw: with the same seed it would be parallel to the first."""


def tolerance(x, times=16):
    """A few roundings of x's precision."""
    return times * torch.finfo(x.dtype).eps


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


@st.composite
def rows(draw, dtype=None):
    """Unit rows (n, d)."""
    shape = draw(st.integers(1, 5)), draw(st.sampled_from([2, 3, 8, 64, 768, 1280]))
    generator = torch.Generator().manual_seed(draw(seeds))
    return unit(torch.randn(shape, dtype=torch.float64, generator=generator)).to(dtype or draw(dtypes))


@st.composite
def pairs(draw):
    """Two sets of unit rows: unrelated, close, equal, nearly opposite or opposite."""
    a = draw(rows())
    noise = torch.randn(a.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(draw(other_seeds)))
    towards, distance = draw(st.sampled_from([(0, 1), (1, 1e-2), (1, 1e-5), (1, 0), (-1, 1e-2), (-1, 1e-5), (-1, 0)]))
    return a, unit(towards * a.double() + distance * unit(noise)).to(a.dtype)
