"""Textual Inversion: the rows are free.

Owns nothing but the name: where rows start and what moves them is `dti.methods.adamw_rows`'s.
"""

from dti.methods.adamw_rows import FreeRows
from dti.spec.settings import FreeTraining


class TextualInversion(FreeRows[FreeTraining]):
    """e starts at the class word's row, and AdamW moves it wherever the loss falls: its norm is nobody's concern.

    Source: Gal et al., "An Image is Worth One Word", ICLR 2023, arXiv 2208.01618. Defaults are those of its use as the
    baseline of arXiv 2512.13672: learning rate 0.02, 400 updates of 4 pictures. The authors' own were 0.04 over 5000
    updates on another model; diffusers' recipe for SDXL has 2e-3.
    """

    name = "ti"
