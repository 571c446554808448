"""Would stand in service/concepts/toys.py: the parameters of a request, their checks, and the submission."""

from dataclasses import dataclass

from service import jobs
from service.errors import InvalidInputError


@dataclass(frozen=True, kw_only=True)
class ToyParams:
    text: str


def toy(service, session, owner_id, params, kind):
    """Queue a toy; `kind` is the class of its input."""
    if not params.text:
        raise InvalidInputError("text", "It is empty. Write a word.")
    model = service.catalogue.default.name
    return jobs.submit(service, session, jobs.NewJob(owner_id=owner_id, model=model, input=kind(text=params.text)))
