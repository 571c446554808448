"""Memory plans: what a model needs for training and rendering, and the settings that fit a device."""
