"""The torch-free specification of the algorithm: settings, prompts, and the registry of methods and families."""
