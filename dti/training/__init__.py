"""Training of concepts: runs, the shared trainer, data set, picture selection and checkpoints."""
