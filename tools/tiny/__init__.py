"""The recipe of `tiny`: world, captions, training, judges and report of the bundled model."""
