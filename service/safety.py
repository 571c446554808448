"""What is done about pictures that a safety check takes exception to. Looks at none itself: a worker does.

A policy belongs to a key, or else to the service; a job has the one that held when it was made. Of what is uploaded
nothing can be learned that is blurred, so that a policy that blurs refuses it.
"""

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from service.errors import InvalidInputError

Policy = Literal["allow", "tag", "blur", "refuse"]
"""Nothing is looked at; what is flagged is said to be; it is shown blurred; it is not shown at all."""

Checker = Literal["none", "opennsfw", "diffusers"]

POLICIES: tuple[Policy, ...] = get_args(Policy)


@dataclass(frozen=True, kw_only=True)
class SafetyVerdict:
    """What a checker thinks of a picture.

    Args:
        checker: who looked at it.
        score: from 0, harmless, to 1.
        flagged: whether that is too much.
    """

    checker: str
    score: float
    flagged: bool

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return asdict(self)


def check_policy(policy: Policy | None, checker: Checker) -> None:
    """See that a policy can be followed.

    Raises:
        InvalidInputError: pictures would have to be looked at, and nobody does.
    """
    if policy not in {None, "allow"} and checker == "none":
        raise InvalidInputError("safety", f"Nobody looks at pictures here, so {policy!r} cannot be followed.")


def refuses(policy: Policy, verdict: SafetyVerdict) -> bool:
    """Whether a picture that was uploaded is not taken."""
    return policy in {"blur", "refuse"} and verdict.flagged
