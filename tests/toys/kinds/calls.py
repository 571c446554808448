"""Would stand in client/src/dti_client/calls.py: a function a route."""

from dti_client import models
from dti_client.calls import _json, _post


def create_toy(text):
    """Make a toy."""
    return _post("/v1/toys", _json(models.Job), {"text": text})


def create_own_toy(text):
    """Make a toy of the other kind."""
    return _post("/v1/own-toys", _json(models.Job), {"text": text})
