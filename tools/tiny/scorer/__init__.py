"""The judges: small networks that name the attributes of a picture of the miniature world, and its held-out concept.

They were trained on rendered pictures and on their reconstructions by the autoencoder, never on generated ones. They
know pictures and attributes, not the model that they judge.
"""

from tools.tiny.scorer.network import ATTRIBUTES, FEATURES, LookScorer, Scorer, load_look_scorer, load_scorer

__all__ = ["ATTRIBUTES", "FEATURES", "LookScorer", "Scorer", "load_look_scorer", "load_scorer"]
