"""Would stand in service/kinds/jobs.py: the inputs, a line a kind, and a line for the new priority class."""

from dataclasses import dataclass

from service.kinds import jobs
from service.kinds.jobs import Kind, PriorityClass
from service.kinds.versioned import Input


@dataclass(frozen=True, kw_only=True)
class ToyInput(Input):
    """Nothing but a text."""

    text: str


@dataclass(frozen=True, kw_only=True)
class OwnToyInput(Input):
    """The same in a priority class of its own."""

    text: str


TOYS = {
    "toy": Kind(ToyInput, "pictures", "tests.toys.kinds.handler:ToyHandler", "create_toy"),
    "own_toy": Kind(OwnToyInput, "toys", "tests.toys.kinds.handler:OwnToyHandler", "create_own_toy"),
}

jobs.PRIORITY_CLASSES["toys"] = PriorityClass(2, at_once=1)
jobs.KINDS.update(TOYS)
jobs.LISTED = (*jobs.LISTED, *TOYS)
