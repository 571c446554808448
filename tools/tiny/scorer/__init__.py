"""The scorer: a small network that labels pictures of the miniature world.

Its weights (`weights.safetensors`) were trained on rendered pictures and on their reconstructions by the
autoencoder, never on generated ones. It knows pictures and attributes, not the model under evaluation.
"""

from tools.tiny.scorer.network import ATTRIBUTES, FEATURES, Scorer, load_scorer

__all__ = ["ATTRIBUTES", "FEATURES", "Scorer", "load_scorer"]
