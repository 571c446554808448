"""Safety policies for pictures, and the assessments of the safety checkers, which run in workers.

The policy is the key's, or else the service's; a job keeps the one of its submission. Nothing can be learned from a
blurred picture, so `blur` refuses flagged uploads.
"""

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from service.errors import InvalidInputError

Policy = Literal["allow", "tag", "blur", "refuse"]
"""Of flagged pictures: not checked; marked; blurred; withheld."""

Checker = Literal["none", "opennsfw", "diffusers"]

POLICIES: tuple[Policy, ...] = get_args(Policy)


@dataclass(frozen=True, kw_only=True)
class SafetyVerdict:
    """A checker's assessment of a picture.

    Args:
        checker: its name.
        score: 0 (harmless) to 1.
        flagged: whether the score reaches the threshold.
    """

    checker: str
    score: float
    flagged: bool

    def to_json(self) -> dict[str, object]:
        """As JSON values."""
        return asdict(self)


def check_policy(policy: Policy | None, checker: Checker) -> None:
    """Check that there is a checker for a policy that needs one.

    Raises:
        InvalidInputError: there is none.
    """
    if policy not in {None, "allow"} and checker == "none":
        raise InvalidInputError("safety", f"{policy!r} needs a safety checker, and this service has none.")


def refuses(policy: Policy, verdict: SafetyVerdict) -> bool:
    """Whether a policy refuses an uploaded picture."""
    return policy in {"blur", "refuse"} and verdict.flagged
