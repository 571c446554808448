"""The scorer: a small network that names what a picture of the miniature world shows.

Its weights (`weights.safetensors`) were trained on rendered pictures and on their reconstructions by the
autoencoder, never on generated ones. It knows pictures and attributes, not the model that it judges.
"""

from tools.tiny.scorer.network import ATTRIBUTES, FEATURES, Scorer, load_scorer

__all__ = ["ATTRIBUTES", "FEATURES", "Scorer", "load_scorer"]
