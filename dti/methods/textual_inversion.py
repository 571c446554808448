"""Textual Inversion (`ti`): free rows, trained by AdamW."""

from dti.methods.adamw_rows import AdamWRows
from dti.spec.settings import TextualInversionTraining


class TextualInversion(AdamWRows[TextualInversionTraining]):
    """e starts at the class word's row; AdamW minimises the denoising loss without any constraint on the norm.

    Source: Gal et al., "An Image is Worth One Word", ICLR 2023, arXiv 2208.01618. The defaults are those of its use as
    the baseline of arXiv 2512.13672: learning rate 0.02, 400 updates of 4 images. The authors used 0.04 over 5000
    updates on another model; diffusers' recipe for SDXL uses 2e-3.
    """

    name = "ti"
