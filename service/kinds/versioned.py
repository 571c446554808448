"""The base of job inputs and results: frozen dataclasses with a version in their JSON. It knows no kind of job."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

Json = Mapping[str, Any]
"""A JSON object. `Any`: a row may hold anything until `from_json` has read it."""


@dataclass(frozen=True, kw_only=True)
class Versioned:
    """A value that is stored as a JSON object.

    `VERSION` is written beside the fields. A class with a changed JSON raises it, and converts the version before in
    `upgraded`. Objects without a version are of version 0, from before versions were written.
    """

    VERSION: ClassVar[int] = 1

    def to_json(self) -> dict[str, object]:
        """The JSON object of today's version."""
        return {"version": self.VERSION, **self.values()}

    @classmethod
    def from_json(cls, stored: Json) -> Self:
        """The value of a JSON object of this version or the one before.

        Raises:
            ValueError: it is of another version, or is not such an object.
        """
        values = {name: value for name, value in stored.items() if name != "version"}
        version = stored.get("version", 0)
        if version not in {cls.VERSION, cls.VERSION - 1}:
            raise ValueError(f"{cls.__name__} has version {version}; {cls.VERSION - 1} and {cls.VERSION} can be read.")
        try:
            return cls.of_values(values if version == cls.VERSION else cls.upgraded(values))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{cls.__name__} of version {version} cannot be read: {error!r}") from error

    def values(self) -> dict[str, object]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def of_values(cls, values: Json) -> Self:
        """The inverse of `values`."""
        return cls(**values)

    @classmethod
    def upgraded(cls, values: Json) -> Json:
        """The values of the version before in today's form; the same where only the version was added."""
        return values


class Input(Versioned):
    """The input of a job, with every default filled in."""

    @property
    def total(self) -> int:
        """How many steps its progress counts."""
        return 1

    @property
    def slots(self) -> int:
        """How much of its priority class's capacity it can use at once."""
        return 1


def without_version(stored: Json) -> dict[str, object]:
    """A stored JSON object as clients see it."""
    return {name: value for name, value in stored.items() if name != "version"}
