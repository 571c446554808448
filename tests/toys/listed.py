"""A pytest plugin that registers the toys: one line each in METHODS, FAMILIES and CHECKPOINTS.

One of the other families and methods stays, so that the laws try each toy with and without the other.
"""

from dti.spec import registry
from dti.spec.settings import Training
from tests import checkpoints
from tests.toys.patches import checkpoint


def first(entries):
    name = next(iter(entries))
    return {name: entries[name]}


def leave(entries, kept):
    entries.clear()
    entries.update(kept)


leave(
    registry.METHODS,
    {**first(registry.METHODS), "toy": registry.MethodEntry("tests.toys.shared_offset:SharedOffset", Training)},
)
leave(
    registry.FAMILIES,
    {**registry.FAMILIES, "toy": registry.FamilyEntry("tests.toys.patches:Patches", ("flow_dpmpp_2m", "flow_euler"))},
)
leave(
    checkpoints.CHECKPOINTS,
    {**first(checkpoints.CHECKPOINTS), "toy": checkpoints.Checkpoint("toy", checkpoint)},
)
