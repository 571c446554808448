"""The models that can be used, their presets, and the token limits of their text encoders."""
