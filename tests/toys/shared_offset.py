"""A method in one file: all rows of a concept are moved together, by one offset, and never far."""

import torch

from dti.embeddings.embedding import Rows
from dti.encoders import class_rows
from dti.methods.adamw_rows import adamw, split
from dti.methods.base import Learned, Method, vector_count
from dti.spec.settings import Training


class SharedOffset(Method[Training]):
    name = "toy"

    def start(self, encoder, class_word, settings, initial):
        rows = class_rows(encoder, class_word, vector_count(settings, initial))
        # Repeated words start apart, or they would never differ.
        lengths = 1 + torch.arange(len(rows), device=rows.device) // 2
        rows = rows * lengths[:, None] if initial is None else initial.vectors.to(rows, copy=True)
        return Learned({"offset": torch.zeros_like(rows[0]).requires_grad_()}, {"start": rows})

    def vectors(self, learned):
        return learned.constants["start"] + learned.parameters["offset"]

    def penalty(self, learned):
        return 1e-3 * learned.parameters["offset"].square().sum()

    def optimizer(self, learned, settings):
        return adamw(learned, settings)

    def finish(self, learned) -> Rows:
        return split(self.vectors(learned))
